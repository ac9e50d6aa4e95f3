"""What each version answered to each distinct row, as pictures need it: scores, classes or numbers.

Requests without an answer are left out, except of a confusion matrix, which counts them. Shown, never judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loadtest.data.sample_cells import as_floats
from loadtest.experiment.role import ROLES, Role
from loadtest.judge.answered_values import output_of
from loadtest.judge.outcomes import Flags, Floats, Outcomes, Places
from loadtest.judge.quality_tests import LARGEST, places_of_classes
from loadtest.judge.ranking_tests import gains_by_place
from loadtest.judge.run import Run
from loadtest.judge.score_tests import matrix
from loadtest.stats import curves
from loadtest.stats.losses import are_probabilities
from loadtest.stats.pieces import add_up, pieces, summed

Numbered = NDArray[np.int32]

MOST_ROWS = 100_000
"""Distinct rows behind a curve; of more, as many are drawn by lot, the same ones for both versions."""
OTHER_LABEL, NO_ANSWER = "no label", "no answer"
"""Columns of a confusion matrix beside the classes: an answer that is no label, and none at all."""


class Scores(NamedTuple):
    """The scores of one version.

    Args:
        scores: the mean over a row's replays, shape (rows, classes).
        truth: the place of each row's label, shape (rows,).
        probabilities: whether the scores of every row are.
    """

    scores: Floats
    truth: Places
    probabilities: bool


class Numbers(NamedTuple):
    """Labels and answers of a regression, shape (rows,) each."""

    truth: Floats
    answer: Floats


class Confusion(NamedTuple):
    """How many distinct rows with each label (lines) got each answer (columns); replays share their row.

    Args:
        lines: the classes.
        columns: the classes, then ``OTHER_LABEL`` and ``NO_ANSWER`` where either version has such answers.
        counts: by role, shape (lines, columns).
    """

    lines: tuple[str, ...]
    columns: tuple[str, ...]
    counts: dict[Role, Floats]


def scored_rows(run: Run, most: int = MOST_ROWS) -> dict[Role, Scores]:
    """The scores of both versions; empty where either has none, or there is no label to hold them against.

    Of more than ``most`` distinct rows, so many are drawn.
    """
    if run.experiment.data.task != "classification" or not run.dataset.labelled:
        return {}
    drawn = _drawn(run, most)
    found = {role: _scores(run, run.evidence.of(role), drawn) for role in ROLES}
    return {role: each for role, each in found.items() if each is not None} if all(found.values()) else {}


def _scores(run: Run, outcomes: Outcomes, drawn: Flags) -> Scores | None:
    if outcomes.scores.null_count == len(outcomes):
        return None
    has = ~outcomes.failed & (np.asarray(pc.fill_null(pc.list_value_length(outcomes.scores), 0)) > 0)
    places = np.flatnonzero(has & drawn[outcomes.row])
    if not len(places):
        return None
    scores = matrix(outcomes.scores.take(pa.array(places)), len(run.dataset.classes))
    rows, place, replays = np.unique(
        run.dataset.content[outcomes.row[places]], return_inverse=True, return_counts=True
    )
    mean = np.column_stack([np.bincount(place, column) / replays for column in scores.T])
    return Scores(mean, run.dataset.class_places[rows], bool(are_probabilities(mean).all()))


def gains(run: Run, places: int) -> dict[Role, Floats]:
    """What the item in each place of the lists gains, shape (distinct rows, places); empty without lists.

    The run is of rankings, or of a classification whose samples carry scores of more than two classes.
    """
    task, dataset = run.experiment.data.task, run.dataset
    both = [run.evidence.of(role) for role in ROLES]
    if task == "regression" or not dataset.labelled or not all(map(len, both)):
        return {}
    if task == "classification":
        places = min(places, len(dataset.classes))
        if places <= 2 or any(each.scores.null_count == len(each) for each in both):
            return {}
    part = run.slice(_drawn(run, MOST_ROWS))
    return {role: gains_by_place(part, part.evidence.of(role), places) for role in ROLES}


def _drawn(run: Run, most: int) -> Flags:
    """The rows of the evaluation set that curves are of, shape (rows,)."""
    content = run.dataset.content
    distinct = np.unique(content)
    if len(distinct) <= most:
        return np.ones(len(content), dtype=bool)
    chosen = np.zeros(len(content), dtype=bool)
    chosen[np.random.default_rng(14).choice(distinct, most, replace=False)] = True
    kept: Flags = chosen[content]
    return kept


def answered_numbers(run: Run, output: str | None = None) -> dict[Role, Numbers]:
    """True values and answers of both versions of a regression; empty for anything else.

    ``output`` names one of several; None: the answer itself.

    Raises:
        pyarrow.ArrowInvalid: an answer is no number.
        NoEvidence: the samples do not have the output.
    """
    if run.experiment.data.task != "regression" or not run.dataset.labelled:
        return {}
    drawn = _drawn(run, MOST_ROWS)
    found = {role: _numbers(run, run.evidence.of(role), output, drawn) for role in ROLES}
    return found if all(len(each.truth) for each in found.values()) else {}


def _numbers(run: Run, outcomes: Outcomes, output: str | None, drawn: Flags) -> Numbers:
    answer = as_floats(outcomes.prediction) if output is None else output_of(output, run, outcomes)
    places = np.flatnonzero(~outcomes.failed & drawn[outcomes.row] & (np.abs(answer) < LARGEST))
    rows, place, replays = np.unique(
        run.dataset.content[outcomes.row[places]], return_inverse=True, return_counts=True
    )
    truths = run.dataset.labels if output is None else run.dataset.truths[output]
    labels = np.asarray(truths, dtype=np.float64)
    return Numbers(labels[rows], np.bincount(place, answer[places], len(rows)) / replays)


def confusion(run: Run, most: int) -> Confusion | None:
    """The confusion matrix of both versions; None of anything but classes, or where nothing was sent.

    Of more than ``most`` classes, those with the most wrong answers are shown, and all the rest as one,
    ``other``.
    """
    if run.experiment.data.task != "classification" or not run.dataset.labelled:
        return None
    classes = run.dataset.classes
    rows = [_Answered.of(run, run.evidence.of(role)) for role in ROLES]
    if not all(map(len, rows)):
        return None
    named = _most_confused(rows, len(classes), most)
    others = len(classes) - len(named)
    lines = (*(classes[place] for place in named), *([f"{others:,} others"] if others else []))
    target = np.append(np.full(len(classes), len(named), dtype=np.intp), [len(lines), len(lines) + 1])
    target[named] = np.arange(len(named))
    shape = (len(lines), len(lines) + 2)
    counts = {}
    for role, answered in zip(ROLES, rows, strict=True):
        counts[role] = np.zeros(shape)
        for truth, answer, weight in answered:
            curves.add_to_confusion(counts[role], target[truth], target[answer], weight)
    columns = (*lines, OTHER_LABEL, NO_ANSWER)
    some = [i for i in range(shape[1]) if i < len(lines) or any(c[:, i].any() for c in counts.values())]
    return Confusion(lines, tuple(columns[i] for i in some), {r: c[:, some] for r, c in counts.items()})


@dataclass(frozen=True)
class _Answered:
    """Per arrival, a piece at a time, the places of its label and of its answer, and its share of the row's
    replays; as in the gates, the recorder says what is right.

    Args:
        outcomes: of one version.
        content: of each row of the evaluation set, the first row with the same content.
        class_places: of each row's label.
        shares: of each content, what one of its replays is of it.
        answers: where each answer stands among the classes.
        classes: how many there are.
    """

    outcomes: Outcomes
    content: Places
    class_places: Places
    shares: Floats
    answers: NDArray[np.unsignedinteger]
    classes: int

    @classmethod
    def of(cls, run: Run, outcomes: Outcomes) -> _Answered:
        dataset = run.dataset
        content, classes = dataset.content, dataset.classes
        sent = np.bincount(content, summed(outcomes.row, None, len(content)), len(content))
        answers = places_of_classes(outcomes.prediction, classes)
        shares = 1 / np.maximum(sent, 1)
        return cls(outcomes, content, dataset.class_places, shares, answers, len(classes))

    def __len__(self) -> int:
        return len(self.outcomes)

    def __iter__(self) -> Iterator[tuple[Numbered, Numbered, Floats]]:
        correct, failed = self.outcomes.correct, self.outcomes.failed
        for piece in pieces(len(self)):
            row = self.content[self.outcomes.row[piece]]
            truth = self.class_places[row].astype(np.int32)
            answer: Numbered = self.answers[piece].astype(np.int32)
            answer[answer == truth] = self.classes
            np.copyto(answer, truth, where=correct[piece])
            answer[failed[piece]] = self.classes + 1
            yield truth, answer, self.shares[row]


def _most_confused(rows: Sequence[_Answered], size: int, most: int) -> NDArray[np.intp]:
    """The classes that are shown under their names, in their order."""
    if size <= most:
        return np.arange(size)
    wrong = np.zeros(size + 2)
    for answered in rows:
        of_truth, of_answer = np.zeros(size + 2), np.zeros(size + 2)
        for truth, answer, weight in answered:
            off = truth != answer
            add_up(of_truth, truth[off], weight[off])
            add_up(of_answer, answer[off], weight[off])
        wrong += of_truth + of_answer
    return np.sort(np.argsort(-wrong[:size], kind="stable")[: most - 1])
