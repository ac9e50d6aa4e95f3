"""Answers of a classification that are no label of the evaluation set: of another task, or in other words.

A server that answers probabilities, or numbers where the labels are names, is wrong on every row whichever
version it serves, and two versions that are wrong alike differ by nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtest.data.look_alikes import same_letters, told_apart
from loadtest.experiment.gate import Gate
from loadtest.experiment.role import ROLES
from loadtest.judge.outcomes import Outcomes
from loadtest.judge.run import Run

LEAST_LABELS = 0.5
"""Share of a version's answers that must be labels for its quality to mean anything."""
MOST_ALIKE = 0.01
"""Share of stable's answers that may be its label but for blanks or the form of a letter."""
POOR = 0.1
"""How far below chance answers are merely poor: a share of chance, or of what chance leaves if that is less.

Of two equal classes that is a kappa of -0.1; of twenty, kappa cannot fall below -0.05."""
SURE = 3.0
"""Standard errors below that that both versions must be."""
_FEWEST = 30
_SHOWN = 3
_OPPOSITES = ({"0", "1"}, {"0.0", "1.0"}, {"False", "True"}, {"false", "true"})


@dataclass(frozen=True)
class Foreign:
    """How many of a version's ``answers`` are no label, and examples of them, the most frequent first."""

    count: int
    answers: int
    examples: tuple[str, ...]


def foreign(outcomes: Outcomes, run: Run) -> Foreign | None:
    """Count what is no label of the evaluation set; None for a regression, and where there are no labels."""
    if run.experiment.data.task != "classification" or not run.dataset.labelled:
        return None
    labels = set(run.dataset.labels.tolist())
    if len(labels) == 1:  # known frauds alone: an answer of 0 is wrong, and yet a label
        labels = next((pair for pair in _OPPOSITES if labels <= pair), labels)
    # what the recorder called correct is a label, in whatever words
    unsure = outcomes.prediction.filter(~(outcomes.correct | outcomes.failed))
    counts = {c["values"]: c["counts"] for c in pc.value_counts(unsure).to_pylist()}
    unknown = {text: n for text, n in counts.items() if text is not None and text not in labels}
    examples = sorted(unknown, key=lambda text: (-unknown[text], text))[:_SHOWN]
    return Foreign(
        sum(unknown.values()), int(np.count_nonzero(~outcomes.failed)), tuple(text[:40] for text in examples)
    )


def no_labels(run: Run) -> str | None:
    """Why nothing can be compared: most of a version's answers are no labels, or stable gives labels in other
    letters; None where they are."""
    for role in ROLES:
        found = foreign(run.evidence.of(role), run)
        if found and found.answers and found.answers - found.count < LEAST_LABELS * found.answers:
            name = "stable" if role == "stable" else "the candidate"
            labels = sorted(set(run.dataset.labels.tolist()))[:_SHOWN]
            answers, read = told_apart(found.examples, labels)
            return (
                f"{found.count:,} of {found.answers:,} answers of {name} are no label: it answers "
                f"{answers}, the labels read {read}; "
                "write labels as the model does, or serve an output that is a label"
            )
    return _written_in_two_ways(run)


def _written_in_two_ways(run: Run) -> str | None:
    """Why nothing can be compared: the labels ``yes`` and ``yes `` are two, and to stable they are one."""
    if run.experiment.data.task != "classification" or not run.dataset.labelled:
        return None
    code = {label: same_letters(label) for label in np.unique(run.dataset.labels).tolist()}
    if len(set(code.values())) == len(code):
        return None
    stable = run.evidence.stable
    wrong = np.flatnonzero(~(stable.correct | stable.failed))
    said = stable.prediction.take(pa.array(wrong)).to_pylist()
    wanted = run.dataset.labels[stable.row[wrong]].tolist()
    pairs = Counter((a, b) for a, b in zip(said, wanted, strict=True) if same_letters(a) == code[b])
    count, answers = pairs.total(), int(np.count_nonzero(~stable.failed))
    if count <= MOST_ALIKE * answers:
        return None
    (answer, label), _ = pairs.most_common(1)[0]
    return (
        f"{count:,} of {answers:,} answers of stable differ from the label only by blanks or the form of a "
        f"letter: it answers {answer!a}, the label reads {label!a}; write each label in one way, that of the "
        "model"
    )


def reads_labels(gate: Gate) -> bool:
    """Whether a gate's value depends on what the labels mean."""
    return gate.entry.task is not None or gate.entry.test == "goodput"


def worse_than_chance(run: Run, *, harmed: bool) -> str | None:
    """Why nothing can be compared: both versions agree with the labels less than chance would; None: not so.

    No model does that. The labels mean something else, as 0 and 1 exchanged do. Where the rows were chosen
    because stable gets them wrong, a candidate that gets more of them right is judged.

    Args:
        run: with gates, of which one may read labels.
        harmed: a gate fails; that stands where the candidate is shown to be right less often than stable.
    """
    if run.experiment.data.task != "classification" or not run.dataset.labelled:
        return None
    if not any(map(reads_labels, run.experiment.gates)):
        return None
    found = [each for role in ROLES if (each := beside_chance(run.evidence.of(role), run))]
    if len(found) < len(ROLES) or not all(each.worse for each in found):
        return None
    stable, candidate = found
    gain, sure = candidate.kappa - stable.kappa, SURE * math.hypot(stable.error, candidate.error)
    if gain > sure or (harmed and -gain > sure):
        return None
    right = [float(o.correct[~o.failed].mean()) for o in (run.evidence.of(role) for role in ROLES)]
    return (
        f"both versions give the label less often than by chance ({right[0]:.1%} and {right[1]:.1%} of their "
        "answers): the labels mean something else than the answers; check the label column and its coding"
    )


class _BesideChance(NamedTuple):
    """Cohen's kappa of a version's answers, its standard error, and whether they are worse than chance."""

    kappa: float
    error: float
    worse: bool


def beside_chance(outcomes: Outcomes, run: Run) -> _BesideChance | None:
    """How a version's answers agree with the labels; None: too few rows, or nothing varies."""
    row, right = outcomes.row[~outcomes.failed], outcomes.row[outcomes.correct & ~outcomes.failed]
    seen = np.zeros(len(run.dataset.content), dtype=bool)
    seen[run.dataset.content[row]] = True
    rows = int(seen.sum())
    if rows < _FEWEST:
        return None
    labels, code = np.unique(run.dataset.labels, return_inverse=True)
    if len(labels) < 2:  # nothing to exchange
        return None
    # what the recorder called correct is the label, in whatever words
    said = np.bincount(code[right], minlength=len(labels)).astype(np.float64)
    wrong = pc.value_counts(outcomes.prediction.filter(~(outcomes.correct | outcomes.failed)))
    counts = {each["values"]: each["counts"] for each in wrong.to_pylist()}
    said += [counts.get(label, 0) for label in labels.tolist()]
    chance = float(np.dot(np.bincount(code[row], minlength=len(labels)), said)) / len(row) ** 2
    if chance >= 1:
        return None
    share = len(right) / len(row)
    error = (max(share * (1 - share), 1 / rows) / rows) ** 0.5
    least = chance - POOR * min(chance, 1 - chance)
    # the error that answers as often right as that would have: of few right ones, their own is too small
    worse = least > 0 and share + SURE * (least * (1 - least) / rows) ** 0.5 <= least
    return _BesideChance((share - chance) / (1 - chance), error / (1 - chance), worse)
