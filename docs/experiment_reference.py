"""docs/experiments.md, written from the code: ``make docs``."""

from __future__ import annotations

import ast
import inspect
import json
import re
import tomllib
from dataclasses import replace
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from loadtest.experiment import gate, units
from loadtest.experiment.experiment import (
    DEFAULT_GATES,
    DEFAULT_RANKING_GATES,
    DEFAULT_REGRESSION_GATES,
    EXPERIMENTS,
    INNER,
    PARTS,
    UNLABELLED_GATES,
    Experiment,
)
from loadtest.experiment.metrics import METRICS, find
from loadtest.experiment.sections import NAME

PAGE = Path(__file__).parent / "experiments.md"

_HEAD = """\
# Experiments

<!-- written by `make docs` from loadtest/experiment -->

An experiment is a TOML file that says what to compare, under which load, and what the candidate must meet.
`loadproof compare --experiment` takes its path, or the name of a bundled one; `loadproof init` writes one for
your model. Only `name`, `[model]` and `[data]` are required. A key that is not listed here is an error, like
every other mistake, before anything starts. Paths are relative to the folder in which the command runs.

A duration is a number of seconds, or text such as `"250ms"`, `"60s"`, `"2m"`.
"""
_ABOUT_GATES = """\
- `p95 <= stable + 10%` is a margin relative to stable, `accuracy >= stable - 1pp` is a margin in percentage
  points, and `p99 <= 200ms` is a bound.
- `accuracy[segment=new] >= stable - 2pp` covers only the rows whose column `segment` is `new`.
- Gates on shares of rows need enough of them: `accuracy >= stable - 1pp` takes at least 268 distinct rows,
  `agreement >= 99.5%` 598, and more where any answer differs. A gate that the rows can never show is named
  before the load.
- A metric for which lower is better takes `<=`, one for which higher is better takes `>=`; only `mismatches`
  takes `==`. A share may be written as `0.3` or `30%`.
- `value`, `value@k`, `r2`, `explained_variance`, `matthews_corrcoef` and `cohen_kappa` can be below 0, and so
  can their bounds: `value >= -500`. A bound that every version meets, such as `roc_auc >= 0`, is refused.
- `mismatches` counts answers under load that differ from the version's baseline answer to the same row.
  `goodput` is answers per second that are correct and within `[objective] latency`. `memory` is what the
  serving process holds when the load ends. `cpu_throttled` is the share of the CPU limit's periods in which
  the kernel paused the version. `value` is what 1,000 requests earn.
- `pinball[0.9]` is the pinball loss of a predicted 90% quantile. `mape` and `smape` are shares: a margin on
  them is in `pp`, or in `%` of stable's. What a metric is undefined for (`mape` of a label of 0) is refused
  before the load. `max_error`, the largest error of the rows that were sent, takes a bound only, and needs
  90% of the rows to pass.
- `mae[output=price]`, and so any other error of a regression, is about one of several values per row: see
  [Several values per row](bring-your-own-model.md#several-values-per-row). `[data.outputs]` names them.
- `interval_coverage[lower=q05,upper=q95]` is the share of distinct rows whose true value lies between two
  outputs, both ends included; `interval_width[lower=q05,upper=q95]` is how far these lie apart on average. A
  request without an answer covers nothing and is as wide as the true values spread. An interval whose lower
  end lies above its upper end covers nothing either; the gate's reason counts such rows.
- `agreement` is the share of distinct rows on which the candidate answers as stable does, without any labels.
  Numbers count as the same if they differ by at most 0.1% of the spread of stable's answers. A row that only
  stable answers counts as different; one that stable does not answer is left out. It takes a bound only.
  `agreement[scores=0.01]` also wants the scores no further apart than 0.01 in any class.
- `score_shift[0.95]` is how far the candidate's scores lie from stable's on 95% of the distinct rows, in the
  class that moved furthest; of a regression, how far the answers lie apart. It needs no labels, only
  `[data] classes` where there are none, and takes a bound only. A row that only stable answers counts as the
  furthest.
- Quality metrics have scikit-learn's names. `f1`, `precision`, `recall`, `jaccard` and the likelihood ratios
  without an average are for the labels 0 and 1, or two that `[data] classes` names, the positive one last.
- With `[data] threshold` the labels of both versions are made from their scores, so `f1`, `precision`,
  `recall`, `agreement`, `mismatches` and all else about labels hold at that threshold.
- `precision@recall=0.9` is the best precision over all thresholds with a recall of at least 0.9 (each version
  has its own threshold, and equal scores share one), `recall@precision=0.95` the best recall at that
  precision, 0 if no threshold has it. Both need 20 rows of each class.
- `ece` is the expected calibration error: over 15 bins of equal width, how far the probability (of the
  positive class; of several, of the most probable one) lies from the share that was so. It takes a bound
  only, and of two classes needs 20 rows each.
- `roc_auc`, `roc_auc_ovr`, `average_precision`, `log_loss`, `brier_score`, `top_k_accuracy@5`, `ece` and the
  two before it go by the scores of answers. The versions are asked for scores only where a gate or the
  threshold needs them. A gate on scores is judged at the end, so `until_decided` is refused. The order of the
  classes is what the version's metadata says, or `[data] classes`; it is never guessed. `log_loss`,
  `brier_score` and `ece` need probabilities, `average_precision` 5% of the rows in each class. For other
  servers see [any server](any-server.md#scores).
- `ndcg@10`, `hit@10`, `mrr`, `mrr@10`, `recall@10` and `map@10` go by ranked lists, with any whole number
  after `@`. Of a classification the list is its classes by their scores, beside the label. Where
  `[data] task` is `ranking` it is the answer: see [Ranked lists](bring-your-own-model.md#ranked-lists).
  `accuracy` and `value` are about the first item, `value@5` about the first five: what 1,000 requests earn if
  whoever finds a wanted item there takes it. `agreement@10` is the share of the first ten items
  that both versions show, whatever their order, and needs no labels; `agreement` wants the same list. All
  but `hit@k`, `value@k`, `accuracy` and `value` are judged at the end. Coverage of the catalogue is no gate,
  because it grows with the rows that are sent and so has no interval; the reason of each gate counts the
  items shown.
- `capacity` is for `loadproof capacity` only."""
_BOUNDS = {"gt": "above", "ge": "from", "lt": "below", "le": "up to"}


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            _HEAD,
            "## Bundled experiments\n",
            *_bundled(),
            "\n## At the top\n",
            *_table(Experiment, skip=PARTS),
            "\nThe default gates; a regression has `mae` in place of `accuracy`, and a ranking",
            f"`{DEFAULT_RANKING_GATES[0]}`. Without labels,",
            f"`loadproof init` writes `{UNLABELLED_GATES[0]}` in its place:\n",
            f"```toml\n{_list('gates', DEFAULT_GATES)}\n```",
            f"```toml\n{_list('gates', DEFAULT_REGRESSION_GATES)}\n```",
            *(line for name, part in PARTS.items() for line in _part(name, part)),
            "\n## Gates\n",
            *_gates(),
            "",
        ]
    )


def _bundled() -> list[str]:
    rows = ["| name | the question |", "|---|---|"]
    for path in sorted(EXPERIMENTS.glob("*.toml")):
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        rows.append(
            f"| [`{raw['name']}`](../loadtest/experiment/bundled/{path.name}) | {raw['description']} |"
        )
    return rows


def _part(name: str, part: type[BaseModel]) -> list[str]:
    title = f"[[{name}]]" if name == "faults" else f"[{name}]"
    inner = (key for key in part.model_fields if key in INNER)
    return [
        f"\n## `{title}`\n",
        _about(part),
        "",
        *_table(part),
        *(
            line
            for key in inner
            for line in [f"\n### `[[{name}.{key}]]`\n", _about(INNER[key]), "", *_table(INNER[key])]
        ),
    ]


def _about(part: type[BaseModel]) -> str:
    """A class's docstring without its examples, which are Python and no TOML."""
    first, *others = (inspect.getdoc(part) or "").split("\n\n")
    text = " ".join(
        [re.split(r": ``[A-Z]", first)[0].rstrip(".") + ".", *(p for p in others if "(" not in p)]
    )
    return " ".join(text.replace("``", "`").split())


def meanings(part: type[BaseModel]) -> dict[str, str]:
    """What the text below each key of a part says."""
    body = ast.parse(inspect.getsource(part)).body[0].body
    return {
        key.target.id: " ".join(text.value.value.split())
        for key, text in pairwise(body)
        if isinstance(key, ast.AnnAssign)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


def _table(part: type[BaseModel], skip: Any = ()) -> list[str]:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    texts = meanings(part)
    for name, field in part.model_fields.items():
        if name not in skip:
            rows.append(f"| `{name}` | {_kind(field)} | {_default(field)} | {texts.get(name, '')} |")
    return rows


def _kind(field: FieldInfo) -> str:
    kind = str(field.annotation)
    readers = _readers(field)
    if units.seconds in readers:
        word = "duration"
    elif units.request_sizes in readers:
        word = "whole number, or table of sizes and weights"
    elif any(reader.__module__ == "loadtest.experiment.units" for reader in readers):
        word = {"tuple[float, ...]": "list of numbers"}.get(kind, "size")
    elif get_origin(field.annotation) is Literal:
        return " or ".join(f'`"{value}"`' for value in get_args(field.annotation))
    elif isinstance(field.annotation, type) and issubclass(field.annotation, StrEnum):
        return " or ".join(f'`"{value}"`' for value in field.annotation)
    elif "GateExpression" in kind or "Gate" in kind:
        word = "list of gates"
    elif "Phase" in kind:
        word = "tables, below"
    elif kind.startswith("tuple[str"):
        word = "list of text"
    elif kind.startswith(("tuple", "typing.Tuple")):
        word = "list of numbers"
    elif kind.startswith("dict"):
        word = "table of text"
    elif "Path" in kind:
        word = "path"
    elif "bool" in kind:
        word = "true or false"
    elif "int" in kind:
        word = "whole number"
    elif "float" in kind:
        word = "number"
    else:
        word = "text"
    bounds = [
        f"{word_} {getattr(m, name):g}"
        for m in field.metadata
        for name, word_ in _BOUNDS.items()
        if getattr(m, name, None) is not None
    ]
    if any(getattr(m, "pattern", None) == NAME for m in field.metadata):
        bounds = ["letters, digits, `.`, `_`, `-`"]
    return ", ".join([word, *bounds])


def _readers(field: FieldInfo) -> list[Any]:
    """What reads the key's text; of a key that may be left out, too."""
    of_members = (m for member in get_args(field.annotation) for m in getattr(member, "__metadata__", ()))
    return [m.func for m in (*field.metadata, *of_members) if isinstance(m, BeforeValidator)]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=True, validated_data={})
    if field.default_factory is not None and isinstance(value, tuple):
        return "below"
    if value is None or value in ((), {}):
        return "none"
    if units.request_sizes in _readers(field):
        return f"`{value[0][0]}`"
    if units.seconds in _readers(field):
        return f'`"{_duration(value)}"`'
    if isinstance(value, tuple):
        return "`[" + ", ".join(json.dumps(v if isinstance(v, int | float) else str(v)) for v in value) + "]`"
    if isinstance(value, int) and value >= 2**20:
        return f'`"{value // 2**20}m"`'
    return f"`{json.dumps(value, default=str)}`" if value != "" else "none"


def _duration(value: float) -> str:
    return f"{value * 1000:g}ms" if 0 < value < 1 else f"{value:g}s"


def _list(key: str, values: tuple[str, ...]) -> str:
    return f"{key} = [\n" + "".join(f"  {json.dumps(value)},\n" for value in values) + "]"


def _gates() -> list[str]:
    grammar = re.search(r"Grammar::\n\n(.*?)\n\n(?=\S)", gate.__doc__ or "", re.S)
    assert grammar  # noqa: S101 - the module has it
    rows = ["| metric | better | unit of a bound | unit of a margin on stable |", "|---|---|---|---|"]
    seen: dict[tuple[str, str, str], list[str]] = {}
    rare = [metric for name in ("p995", "p999", "p9999") if (metric := find(name))]
    for metric in (replace(rare[0], name="p10 .. p99"), *rare, *METRICS.values()):
        units = metric.quantity
        key = (metric.better, _units(units.bounds), _units(units.margins))
        seen.setdefault(key, []).append(metric.name)
    for (better, absolute, margin), metrics in seen.items():
        rows.append(f"| {', '.join(f'`{m}`' for m in metrics)} | {better} | {absolute} | {margin} |")
    return [
        "A gate is one condition that the candidate must meet.\n",
        f"```\n{inspect.cleandoc(grammar[1])}\n```\n",
        *rows,
        "",
        _ABOUT_GATES,
    ]


def _units(units: tuple[str, ...]) -> str:
    return " or ".join(f"`{unit}`" if unit else "a plain number" for unit in units)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
