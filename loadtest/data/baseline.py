"""Baseline answers: whether an answer under load is the one that the version gave to the row without load.

An answer matches when it has the text of the baseline answer. A regression's answers may differ a little, as
a batch adds up floats in another order than a single row does: by 1e-5 of the spread of the version's own
baseline answers, so that answers far from zero are told apart as well as others, and by the last digits of
the precision that these answers have, of which single precision keeps 7.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loadtest.data.dataset import Dataset
from loadtest.experiment.role import Role

BaselineAnswers = Mapping[Role, Mapping[int, str | None]]
"""Per role and row the answer without load, as text; None: asked, and there is nothing to compare with.
Rows and roles that were not asked are absent."""
TOLERANCE = 1e-5
"""How far a regression's answer may lie from its baseline answer, as a share of the answers' spread."""
_LAST_DIGITS = 8
"""How many units in the last place a sum in another order may differ by."""
_TAIL = 0.01
"""Share of the answers on each side that does not count in their spread: one absurd answer is no spread."""


class Comparison:
    """Holds answers against one version's baseline answers.

    Args:
        dataset: the evaluation set; float labels make it a regression.
        answers: the version's answer to each row without load.
    """

    def __init__(self, dataset: Dataset, answers: Mapping[int, str | None]) -> None:
        self._texts = pa.array([answers.get(row) for row in range(len(dataset))], pa.string())
        self._numbers = numbers(self._texts) if dataset.labels.dtype.kind == "f" else None
        self._near = None if self._numbers is None else Nearness(self._numbers, TOLERANCE)

    def of(self, rows: pa.Array) -> pa.Array:
        """The baseline answer of each of ``rows``; null where there is none."""
        return self._texts.take(rows)

    def judge(self, rows: pa.Array, predictions: pa.Array, broken: pa.Array) -> pa.Array:
        """As ``agrees``; an answer that came broken (a flag per answer) is not the baseline answer either."""
        judged = pc.if_else(broken, False, self.agrees(rows, predictions))
        return pc.if_else(pc.is_valid(self.of(rows)), judged, pa.scalar(None, pa.bool_()))

    def agrees(self, rows: pa.Array, predictions: pa.Array) -> pa.Array:
        """Whether each prediction is its row's baseline answer; null where one of them is missing."""
        baseline = self.of(rows)
        same = pc.equal(predictions, baseline)
        if self._numbers is None or self._near is None:
            return same
        near = self._near.of(numbers(predictions), self._numbers[np.asarray(rows)])
        return pc.or_(same, pa.array(near))


class Nearness:
    """Whether numbers are as near as makes no difference among the answers of one model.

    Args:
        answers: of the model, which say how far they spread and how many digits they have; NaN: none.
        share: of their spread that makes no difference.
    """

    def __init__(self, answers: NDArray[np.float64], share: float) -> None:
        known = answers[np.isfinite(answers)]
        self.apart = share * _spread(known)
        self._precision = _precision(known)

    def of(self, got: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether ``got`` is near to the answer ``known``, shape (n,) each; NaN is near to nothing."""
        with np.errstate(invalid="ignore", over="ignore"):  # infinities
            last_digits = _LAST_DIGITS * self._precision * np.abs(known)
            return np.asarray(np.abs(got - known) <= np.maximum(self.apart, last_digits))


def _spread(answers: NDArray[np.float64]) -> float:
    """Their standard deviation without the tails, counted from their median; 0 where there is none."""
    if not len(answers):
        return 0.0
    low, median, high = np.quantile(answers, [_TAIL, 0.5, 1 - _TAIL])
    with np.errstate(over="ignore"):
        spread = float(np.std(np.clip(answers, low, high) - median))
    return spread if np.isfinite(spread) else 0.0


def _precision(answers: NDArray[np.float64]) -> float:
    """The relative step between numbers of the type that the answers were computed in."""
    with np.errstate(over="ignore"):
        single = answers.astype(np.float32).astype(np.float64) == answers
        # single precision holds small whole numbers exactly: they say nothing of the type
        counts = (answers == np.round(answers)) & (np.abs(answers) < 2**24)
    return float(np.finfo(np.float32 if single.all() and not counts.all() else np.float64).eps)


def numbers(texts: pa.Array) -> NDArray[np.float64]:
    """Texts as numbers; NaN, which is near to nothing, for what is none."""
    found = []
    for text in texts.to_pylist():
        try:
            found.append(float(text))
        except (TypeError, ValueError):
            found.append(np.nan)
    return np.asarray(found, np.float64)
