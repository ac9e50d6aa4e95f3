"""Baseline answers: whether an answer under load is the one that the version gave to the row without load.

An answer matches when it has the text of the baseline answer and, where answers have scores, scores within
1e-4 of their spread: a mixed-up answer often has the same label, and other scores. A regression's answers may
differ a little, as a batch adds up floats in another order than a single row does: by 1e-5 of the spread of
the version's own baseline answers, so that answers far from zero are told apart as well as others, and by the
last digits of the precision that these answers have, of which single precision keeps 7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loadtest.data.dataset import Dataset
from loadtest.experiment.role import Role


class ScoredAnswer(NamedTuple):
    """An answer of a version that is asked for scores, too, or for the values of outputs."""

    text: str
    scores: tuple[float, ...]


BaselineAnswers = Mapping[Role, Mapping[int, str | ScoredAnswer | None]]
"""Per role and row the answer without load; None: asked, and there is nothing to compare with. Rows and roles
that were not asked are absent."""
TOLERANCE = 1e-5
"""How far a regression's answer may lie from its baseline answer, as a share of the answers' spread."""
AGREEMENT_TOLERANCE = 1e-3
"""How far apart two versions' numbers may lie to count as the same answer, as a share of stable's spread."""
SCORE_TOLERANCE = 1e-4
"""As ``TOLERANCE``, of scores, which a softmax or a sum of trees computes in fewer digits."""
_SCORES_SHOWN = 5
_LAST_DIGITS = 8
"""How many units in the last place a sum in another order may differ by."""
_TAIL = 0.01
"""Share of the answers on each side that does not count in their spread: one absurd answer is no spread."""


class Comparison:
    """Holds answers against one version's baseline answers.

    Float labels in ``dataset`` make it a regression.
    """

    def __init__(self, dataset: Dataset, answers: Mapping[int, str | ScoredAnswer | None]) -> None:
        known = [answers.get(row) for row in range(len(dataset))]
        texts = [answer.text if isinstance(answer, ScoredAnswer) else answer for answer in known]
        self._texts = pa.array(texts, pa.string())
        scores = [answer.scores if isinstance(answer, ScoredAnswer) else None for answer in known]
        self._scores = None
        self._numbers = numbers(self._texts) if dataset.labels.dtype.kind == "f" else None
        if any(scores) and self._numbers is None:
            self._scores = as_matrix(pa.array(scores, pa.list_(pa.float32())))
            self._near_scores = [Nearness(self._scores, SCORE_TOLERANCE)]
        elif any(scores):
            # each output has a spread of its own
            self._scores = as_matrix(pa.array(scores, pa.list_(pa.float64())))
            self._near_scores = [Nearness(output, TOLERANCE) for output in self._scores.T]
        self._near = None if self._numbers is None else Nearness(self._numbers, TOLERANCE)

    def of(self, rows: pa.Array) -> pa.Array:
        """The baseline answer of each of ``rows``; null where there is none."""
        return self._texts.take(rows)

    def shown(self, rows: pa.Array) -> pa.Array:
        """The baseline answer of each of ``rows`` for a person to see: the text, and the first scores."""
        texts = self.of(rows)
        if self._scores is None:
            return texts
        scores = self._scores[np.asarray(rows)]
        return pa.array(
            [with_scores(text, own) for text, own in zip(texts.to_pylist(), scores, strict=True)], pa.string()
        )

    def judge(
        self, rows: pa.Array, predictions: pa.Array, broken: pa.Array, scores: pa.Array | None = None
    ) -> pa.Array:
        """As ``agrees``; an answer that came broken (a flag per answer) is not the baseline answer either."""
        judged = pc.if_else(broken, False, self.agrees(rows, predictions, scores))
        return pc.if_else(pc.is_valid(self.of(rows)), judged, pa.scalar(None, pa.bool_()))

    def agrees(self, rows: pa.Array, predictions: pa.Array, scores: pa.Array | None = None) -> pa.Array:
        """Whether each prediction is its row's baseline answer; null where one of them is missing.

        Args:
            rows: shape (n,).
            predictions: as text.
            scores: a list of scores or of outputs per prediction, null where there is none; None: only
                predictions are compared.
        """
        baseline = self.of(rows)
        same = pc.equal(predictions, baseline)
        if self._numbers is not None and self._near is not None:
            close = self._near.of(numbers(predictions), self._numbers[np.asarray(rows)])
            same = pc.or_(same, pa.array(close))
        if self._scores is not None and scores is not None:
            known, got = self._scores[np.asarray(rows)], as_matrix(scores, self._scores.shape[1])
            # of all scores at once, or of each output by itself
            parts = np.hsplit(known, len(self._near_scores)), np.hsplit(got, len(self._near_scores))
            near = [each.of(own, its) for each, its, own in zip(self._near_scores, *parts, strict=True)]
            same = pc.and_(same, pa.array((np.hstack(near) | np.isnan(known)).all(axis=1)))
        return same


def with_scores(text: str | None, scores: Sequence[float] | NDArray[np.float64]) -> str | None:
    """An answer and its first scores, as a person sees them; NaN: there is none."""
    known = [f"{score:.6g}" for score in scores if not np.isnan(score)]
    if text is None or not known:
        return text
    return f"{text} ({', '.join(known[:_SCORES_SHOWN])}{', ...' if len(known) > _SCORES_SHOWN else ''})"


def as_matrix(lists: pa.Array, width: int = 0) -> NDArray[np.float64]:
    """Lists of scores as a matrix, shape (n, width or more), NaN where there is none."""
    counts = np.asarray(pc.fill_null(pc.list_value_length(lists), 0))
    found = np.full((len(lists), max(width, int(counts.max(initial=0)))), np.nan)
    places = np.arange(found.shape[1]) < counts[:, None]
    found[places] = np.asarray(pc.list_flatten(lists))
    return found[:, :width] if width else found


class Nearness:
    """Whether numbers are as near as makes no difference among the answers of one model.

    Args:
        answers: of the model, in any shape, which say how far they spread and how many digits they have;
            NaN: none.
        share: of their spread that makes no difference.
    """

    def __init__(self, answers: NDArray[np.float64], share: float) -> None:
        known = answers[np.isfinite(answers)]
        self.apart = share * _spread(known)
        self._precision = _precision(known)

    def of(self, got: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether ``got`` is near to the answer ``known``, of one shape; NaN is near to nothing."""
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
    if pa.types.is_dictionary(texts.type):
        known = np.append(numbers(texts.dictionary), np.nan)
        return np.asarray(known[np.asarray(texts.indices.fill_null(-1))])
    found = []
    for text in texts.to_pylist():
        try:
            found.append(float(text))
        except (TypeError, ValueError):
            found.append(np.nan)
    return np.asarray(found, np.float64)
