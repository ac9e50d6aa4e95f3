"""Quality by slice: where the candidate is better or worse than on average. Shown, never judged.

Every column of the evaluation set that is text and has few values cuts the rows into slices. With many
slices some differ by chance: a slice that matters deserves a gate (``accuracy[segment=new] >= ...``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import pyarrow as pa

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Data
from loadtest.experiment.gate import Gate
from loadtest.experiment.metrics import QUALITY
from loadtest.judge.measurement import shown
from loadtest.judge.metric_tests import measure
from loadtest.judge.paired_outcomes import NoEvidence
from loadtest.judge.run import Run

MOST_VALUES = 8
"""A column with more values is no slicing but a feature."""


class Slice(NamedTuple):
    """The difference on one slice: candidate minus stable.

    Args:
        name: ``segment=new``; ``all rows`` for the whole.
        rows: distinct rows of the slice that were compared.
        estimate: the difference, in ``unit``.
        low: lower end of its interval.
        high: upper end of its interval.
        unit: ``pp`` for accuracy; empty for the mean absolute error of a regression.
    """

    name: str
    rows: int
    estimate: float
    low: float
    high: float
    unit: str


def by_slice(run: Run) -> list[Slice]:
    """The whole, then every slice with enough samples; accuracy, or the error of a regression.

    Of rows without labels there are none.
    """
    if not run.dataset.labelled:
        return []
    gate = Gate.beside_stable(QUALITY[run.experiment.data.task])
    found = []
    for column, value in _slices(run.experiment.data, run.dataset):
        try:
            measured = measure(replace(gate, column=column, value=value), run)
        except NoEvidence:
            continue
        ends = measured.estimate.interval(run.alpha)
        estimate, low, high = (
            shown(measured.to_base(x), gate.margin_unit) for x in (measured.estimate.value, *ends)
        )
        if estimate is not None and low is not None and high is not None:
            name = "all rows" if column is None else f"{column}={value}"
            found.append(Slice(name, measured.rows or 0, estimate, low, high, gate.margin_unit))
    return found


def _slices(data: Data, dataset: Dataset) -> Iterator[tuple[str | None, str | None]]:
    yield None, None
    for name in dataset.columns.column_names:
        column = dataset.columns[name]
        if name in data.outcome_columns or not _is_text(column.type):
            continue
        values = sorted(filter(None, column.unique().to_pylist()))
        if 1 < len(values) <= MOST_VALUES:
            yield from ((name, value) for value in values)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
