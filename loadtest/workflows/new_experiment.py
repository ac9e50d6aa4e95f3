"""What ``loadproof init`` does for folders and services alike: read the rows, write the experiment."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tomli_w

from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, ListsOfLabels, UsageError
from loadtest.experiment.experiment import Data, Experiment

_UNDER_DATA = "Name the right one under [data] in the experiment"
_STEP = 0.005
"""Of a proposed margin."""
_FEWEST = 20
"""Of fewer rows of a class, the interval of ``roc_auc`` is wider than any margin worth having."""


def read_rows(data: Data, ignore: Sequence[str]) -> Dataset:
    """An evaluation set with every column that may be sent; of a ranking where its labels are lists.

    Raises:
        UsageError: it cannot be used, or a column to ignore is not there.
    """
    try:
        try:
            dataset = Dataset.read(data, every=True)
        except ListsOfLabels:
            dataset = Dataset.read(data.model_copy(update={"task": "ranking"}), every=True)
    except DatasetError as error:
        raise DatasetError(by_option(str(error))) from None
    for name in ignore:
        if name not in {*dataset.columns.column_names, *dataset.left_out}:
            raise UsageError(f"--ignore {name!r}: {data.path} has no such column")
    names = [name for name in dataset.names if name not in ignore]
    infinite = [name for name in names if not _is_finite(dataset.columns[name])]
    names = [name for name in names if name not in infinite]
    notes = (f"not sent: {name} (has infinite cells)" for name in infinite)
    if not names:
        raise UsageError(f"{data.path}: no column is left beside what --ignore names")
    return replace(dataset, names=tuple(names), matrix=None, notes=(*dataset.notes, *notes))


def by_option(text: str) -> str:
    """What an experiment would say, as an option says it."""
    return text.replace(_UNDER_DATA, "Name the right one with --label")


def have_decimals(labels: Iterable[str]) -> bool:
    """Whether any label is a number with decimals, which no class is."""
    try:
        return any(float(text) % 1 > 0 for text in labels)
    except ValueError:
        return False


def known_outputs(
    chosen: str, named: Sequence[Sequence[str]], dataset: Dataset, taken: Sequence[str]
) -> dict[str, str]:
    """The outputs whose true values the rows have in columns of the same names, as ``[data.outputs]``.

    ``chosen`` is the answer itself and comes first, as its column is the label by default. ``taken`` are the
    columns that a version takes as features.
    """
    numbers = {
        field.name
        for field in dataset.columns.schema
        if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    }
    shared = [name for name in named[0] if all(name in outputs for outputs in named)]
    shared.sort(key=lambda name: name != chosen)
    return {name: name for name in shared if name in numbers and name not in taken}


def outputs_line(known: Mapping[str, str], outputs: Sequence[str], out: Path) -> str:
    """What is said of several values per row: which are compared, or which line would."""
    if known:
        example = next(iter(known))
        return (
            f"has the true values of {', '.join(known)}, so [data.outputs] names them; gate one as in "
            f"'mae[output={example}] <= stable + 5%'"
        )
    example = tomli_w.dumps({outputs[0]: "its column"}).strip()
    return (
        "has no column with the name of an output; where it has their true values, say so in "
        f"[data.outputs] of {out}, as in {example}"
    )


def score_gates(dataset: Dataset, rows: int) -> dict[str, float]:
    """Gates on probabilities, without their margins, and the smallest that so many rows should decide.

    From what is simulated at 1,000 rows (docs/statistics.md, "Scores": of versions that score alike, most
    pass), by the square root of the rows and, for ``roc_auc``, of the rarer class's.
    """
    gates = {"log_loss <= stable +": _rounded_up(0.02 * math.sqrt(1_000 / rows))}
    if len(dataset.classes) == 2:
        rarer = rows * min(np.mean(dataset.class_places == place) for place in (0, 1))
        if rarer >= _FEWEST:
            gates["roc_auc >= stable -"] = _rounded_up(0.02 * math.sqrt(250 / rarer))
    return gates


def _rounded_up(margin: float) -> float:
    return round(math.ceil(margin / _STEP - 1e-9) * _STEP, 3)


def write_experiment(out: Path, name: str, about: str, parts: Mapping[str, Any]) -> None:
    """Write an experiment with all its gates, below lines that say what it is about.

    Raises:
        UsageError: it cannot be written, or is none.
    """
    experiment = Experiment.parse({"name": name, **parts}, str(out))
    content = {"name": name, **parts, "gates": [str(gate) for gate in experiment.gates]}
    # tables last, as TOML has them
    content = {key: content[key] for key in ("name", "gates", *(k for k in parts if k != "gates"))}
    try:
        lines = "".join(f"# {line}\n" for line in about.splitlines())
        out.write_text(f"{lines}{tomli_w.dumps(content)}", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error.strerror}); name another with --out") from error


def _is_finite(cells: pa.ChunkedArray) -> bool:
    return not pa.types.is_floating(cells.type) or pc.all(pc.is_finite(cells), min_count=0).as_py()
