"""Two versions that say nothing about the labels look equal: one answer to every row, or far numbers.

So answers a server that is broken, or that gives another unit or another column, whichever version it serves.
"""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from loadtest.experiment.gate import Gate
from loadtest.experiment.role import ROLES
from loadtest.judge.answered_values import answers_of, truth_of
from loadtest.judge.foreign_answers import reads_labels
from loadtest.judge.outcomes import Outcomes
from loadtest.judge.run import Run

_FEWEST = 30
"""Distinct rows of which one answer to all says something."""
_SOME = 1_000
"""Answers that are looked at before all are."""
_COMMON = 0.9
"""Share of rows that one class may have before a model may rightly answer nothing else."""
_FAR = 3.0
"""Standard deviations of the labels: errors as large as this are larger than those of no model."""
_OFF = 0.5
"""Share of the label that half of the answers must be off by, too: labels may hardly vary."""


def equally_useless(run: Run) -> str | None:
    """Why nothing can be compared: neither version's answers have to do with the labels; None: they do."""
    gates = [g for g in run.experiment.gates if g.against == "stable" and reads_labels(g)]
    if run.experiment.data.task == "ranking" or not run.dataset.labelled or not gates:
        return None
    both = [run.evidence.of(role) for role in ROLES]
    if min(_distinct_rows(run, outcomes) for outcomes in both) < _FEWEST:
        return None
    if not any(gate.needs_scores for gate in gates) and (said := _constants(run, both)):
        return (
            f"stable answers {said[0]} to every row, the candidate {said[1]}, and the labels differ: send "
            "each a few rows by hand, and check that the columns that are sent reach the model"
        )
    if run.experiment.data.task != "regression":
        return None
    means = [gate for gate in gates if gate.entry.test == "regression" and gate.number is None]
    return next((far for gate in means if (far := _far(gate, run, both))), None)


def _constants(run: Run, both: list[Outcomes]) -> list[str] | None:
    """The one answer of each version; None: a version has several, or it may be the right one."""
    # the first ones nearly always differ, and the rest is not copied
    for some in (slice(_SOME), slice(None)):
        said = [pc.unique(o.prediction[some].filter(~o.failed[some])).to_pylist() for o in both]
        if max(map(len, said)) > 1:
            return None
    labels, code = np.unique(run.dataset.labels, return_inverse=True)
    counts = np.bincount(code, np.bincount(both[0].row, minlength=len(code)))
    labels, counts = labels[counts > 0], counts[counts > 0]
    if len(labels) < 2 or counts.max() >= _COMMON * counts.sum():
        return None
    return [repr(texts[0])[:40] for texts in said]


def _distinct_rows(run: Run, outcomes: Outcomes) -> int:
    seen = np.zeros(len(run.dataset), dtype=bool)
    seen[outcomes.row[~outcomes.failed]] = True
    return len(np.unique(run.dataset.content[seen]))


def _far(gate: Gate, run: Run, both: list[Outcomes]) -> str | None:
    """That both versions' answers are far from the labels, in one clause; None: they are not."""
    truth = truth_of(gate, run.dataset)
    medians = []
    for outcomes in both:
        answered = ~outcomes.failed
        answers, labels = answers_of(gate, run, outcomes)[answered], truth[outcomes.row[answered]]
        with np.errstate(over="ignore"):
            error = np.abs(answers - labels)
            if np.median(error) <= max(_FAR * labels.std(), _OFF * float(np.median(np.abs(labels)))):
                return None
        medians.append(np.median(answers))
    return (
        f"half of the answers of stable are around {medians[0]:.4g} and of the candidate around "
        f"{medians[1]:.4g}, the labels around {np.median(truth):.4g}: they mean something else than the "
        "label column, or are in another unit; give both in the same one"
    )
