"""``loadproof init --url``: an experiment for services that run, read from their OpenAPI document.

The place of the prediction is found by asking: of all values in the answers, the one that agrees best with
the labels of the rows that were sent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from contract.label_text import label_text
from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, UsageError
from loadtest.experiment.experiment import Data, Target
from loadtest.lab.service_answers import answers_to, read_openapi
from loadtest.workflows.new_experiment import have_decimals, read_rows, write_experiment
from loadtest.workflows.openapi import Body, find_operation, write_body

TRIED = 50
"""On so many rows each service is tried."""
_DEEPEST = 10

Say = Callable[[str], None]


def init_service(
    urls: Sequence[str],
    data: Path,
    say: Say,
    *,
    label: str | None = None,
    ignore: Sequence[str] = (),
    path: str | None = None,
    out: Path | None = None,
) -> Path:
    """Write an experiment that compares two services, or one with itself.

    Args:
        urls: of stable and, if there are two, of the candidate; plain HTTP.
        data: the labelled evaluation set.
        say: where it says what it did, a line at a time.
        label: its label column; None: ``label``.
        ignore: columns that are no features.
        path: of the operation that predicts; None: it is found.
        out: the experiment; None: the name of ``data``, with ``.toml``, here.

    Returns:
        The experiment that was written.

    Raises:
        UsageError: it cannot be written, or the evaluation set does not fit the service.
        TargetError: a service does not answer as it should.
    """
    out = out or Path(f"{data.stem}.toml")
    if out.exists():
        raise UsageError(f"{out}: exists already; delete it, or name another file with --out")
    if not 1 <= len(urls) <= 2:
        raise UsageError("--url is given once or twice: stable and the candidate")
    dataset = read_rows(Data(path=data, label=label), ignore)
    if not dataset.labelled:
        raise DatasetError(
            f"{data}: no column 'label'; which value of an answer is the prediction is found by the labels. "
            "Name their column with --label"
        )
    kinds = {name: _kind(dataset.columns[name].type) for name in dataset.names}
    document = read_openapi(urls[0])
    operation = find_operation(document, path)
    body = write_body(document, operation, kinds)
    _check_cells(dataset, body)
    given = Data(
        path=data,
        label=label,
        features=tuple(body.columns),
        task="regression" if have_decimals(dataset.labels.tolist()) else "classification",
    )
    dataset = Dataset.read(given)
    for note in dataset.notes:
        say(f"{data}: {note}")
    sent = Target(
        stable=urls[0],
        candidate=urls[-1],
        protocol="template",
        path=operation.path,
        body=body.template,
        answer="$",
    )
    rows = range(min(TRIED, len(dataset)))
    answers = answers_to(sent, dataset, rows)
    answer = _best(answers[urls[0]], dataset)
    target = sent.model_copy(update={"answer": answer})
    say(f"{operation.path}: is sent {body.template}")
    if body.left_out:
        say(f"{operation.path}: not sent, as they are optional: {', '.join(body.left_out)}")
    for url, given_back in answers.items():
        found = [dict(_values(one)).get(answer) for one in given_back]
        say(f"{url}: {answer} is {_quality(found, dataset)} of {len(rows)} rows")
    if len(urls) == 1:
        say(f"{urls[0]} is the only service so far: it will be compared with itself")
    _write(out, given, target)
    return out


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_string(kind):
        return "text"
    return "bool" if pa.types.is_boolean(kind) else "number"


def _check_cells(dataset: Dataset, body: Body) -> None:
    """What the service would refuse is refused here, before the load."""
    for name in body.required:
        if gaps := dataset.columns[name].null_count:
            raise DatasetError(
                f"{dataset.path}: column {name!r} has {gaps} gaps, and the service takes no null there; "
                "fill them as the caller in production does"
            )
    for name, choices in body.choices.items():
        allowed = {str(choice) for choice in choices if choice is not None}
        for cell in dataset.values_of(name):
            if cell and cell not in allowed:
                raise DatasetError(
                    f"{dataset.path}: column {name!r} reads {cell!r}, the service takes "
                    f"{', '.join(sorted(allowed))}"
                )


def _values(answer: Any, where: str = "$", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every value of an answer by its JSONPath."""
    if depth > _DEEPEST:
        return
    if isinstance(answer, dict):
        for name, inner in answer.items():
            step = f".{name}" if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else f"[{_in_quotes(name)}]"
            yield from _values(inner, where + step, depth + 1)
    elif isinstance(answer, list):
        for place, inner in enumerate(answer[:TRIED]):
            yield from _values(inner, f"{where}[{place}]", depth + 1)
    elif answer is not None:
        yield where, answer


def _in_quotes(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _best(answers: Sequence[Any], dataset: Dataset) -> str:
    """The JSONPath whose values agree best with the labels."""
    found = [dict(_values(answer)) for answer in answers]
    everywhere = [where for where in found[0] if all(where in one for one in found)]
    losses = {where: _loss([one[where] for one in found], dataset) for where in everywhere}
    best = min(losses, key=lambda where: losses[where], default=None)
    if best is None or math.isinf(losses[best]) or (dataset.labels.dtype.kind != "f" and losses[best] == 1):
        seen = "; ".join(f"{where} is {found[0][where]!r}" for where in everywhere[:5]) or "no value"
        labels = ", ".join(repr(str(label)) for label in dataset.labels[:3].tolist())
        raise DatasetError(
            f"{dataset.path}: the service answers {seen}, the labels read {labels}; "
            "write labels as the service answers"
        )
    return best


def _loss(values: Sequence[Any], dataset: Dataset) -> float:
    """The share of wrong labels, or the mean absolute error; infinite of what is no prediction."""
    labels = dataset.labels[: len(values)]
    try:
        if labels.dtype.kind == "f":
            numbers = [float(value) for value in values if isinstance(value, int | float)]
            if len(numbers) < len(values):
                return math.inf
            off = np.asarray(numbers) - labels.astype(np.float64)
            return float(np.abs(off).mean())
        right = [label_text(value) == label for value, label in zip(values, labels.tolist(), strict=True)]
    except ValueError:
        return math.inf
    return 1 - right.count(True) / len(right)


def _quality(values: Sequence[Any], dataset: Dataset) -> str:
    loss = _loss(values, dataset)
    if dataset.labels.dtype.kind == "f":
        return f"off by {loss:.4g} on average"
    return f"right on {1 - loss:.1%}" if math.isfinite(loss) else "no label on some"


def _write(out: Path, data: Data, target: Target) -> None:
    name = re.sub(r"[^A-Za-z0-9._-]", "-", out.stem).lstrip("._-") or "service"
    parts: Mapping[str, Any] = {
        "model": {"name": name, "folder": "."},
        "data": {
            "path": str(data.path),
            "label": data.label_column,
            **({"task": data.task} if data.task != "classification" else {}),
            "features": list(data.features),
        },
        "target": {
            key: value
            for key in ("protocol", "stable", "candidate", "path", "body", "answer")
            if (value := getattr(target, key)) is not None
        },
        "load": {"rate": 50, "duration": "60s"},
    }
    about = "May the candidate go live? docs/any-server.md explains [target], docs/experiments.md the rest."
    write_experiment(out, name, about, parts)
