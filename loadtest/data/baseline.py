"""Baseline answers: whether an answer under load is the one that the version gave to the row without load.

An answer matches when it has the text of the baseline answer. A regression's answers may differ by 1e-5 of
the larger of the baseline answer and the labels' standard deviation: a batch adds up floats in another order
than a single row does, single precision keeps 7 digits, and no two rows' answers are told apart by less.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loadtest.data.dataset import Dataset
from loadtest.experiment.role import Role

BaselineAnswers = Mapping[Role, Mapping[int, str]]
"""Per role and row the answer without load, as text; rows and roles that were not asked are absent."""
TOLERANCE = 1e-5
"""How far a regression's answer may lie from its baseline answer, as a share."""


class Comparison:
    """Holds answers against one version's baseline answers.

    Args:
        dataset: the evaluation set; float labels make it a regression.
        answers: the version's answer to each row without load.
    """

    def __init__(self, dataset: Dataset, answers: Mapping[int, str]) -> None:
        self._texts = pa.array([answers.get(row) for row in range(len(dataset))], pa.string())
        labels = dataset.labels
        self._spread = float(labels.std()) if labels.dtype.kind == "f" else None

    def of(self, rows: pa.Array) -> pa.Array:
        """The baseline answer of each of ``rows``; null where there is none."""
        return self._texts.take(rows)

    def agrees(self, rows: pa.Array, predictions: pa.Array) -> pa.Array:
        """Whether each prediction is its row's baseline answer; null where one of them is missing."""
        baseline = self.of(rows)
        same = pc.equal(predictions, baseline)
        if self._spread is None:
            return same
        got, known = _numbers(predictions), _numbers(baseline)
        with np.errstate(invalid="ignore"):  # infinities
            near = np.abs(got - known) <= TOLERANCE * np.maximum(np.abs(known), self._spread)
        return pc.or_(same, pa.array(near))


def _numbers(texts: pa.Array) -> NDArray[np.float64]:
    """Texts as numbers; NaN, which is near to nothing, for what is none."""
    numbers = []
    for text in texts.to_pylist():
        try:
            numbers.append(float(text))
        except (TypeError, ValueError):
            numbers.append(np.nan)
    return np.asarray(numbers, np.float64)
