"""Answers that do not depend on the row may meet a gate: where one class is rare, or both versions give such.

So answers a cache whose key is the URL alone, and a server that takes the columns in another order.
"""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy  # its parts are loaded where they are used: most of a second of every command

from loadtest.experiment.gate import Gate
from loadtest.experiment.role import ROLES
from loadtest.judge.answered_values import answers_of, truth_of
from loadtest.judge.foreign_answers import SURE, beside_chance, reads_labels
from loadtest.judge.outcomes import Outcomes, first_places
from loadtest.judge.run import Run

_FEWEST_OTHERS = 5
"""Distinct rows to which stable gives another answer than the candidate gives to all."""
_SLIGHT = 0.1
"""Kappa, or rank correlation, that the rows must be able to show before its absence says something."""


def answers_by_chance(run: Run) -> str | None:
    """Why a PASS proves nothing: the candidate's answers, or both versions', do not depend on the row."""
    gates = [gate for gate in run.experiment.gates if reads_labels(gate) or gate.entry.test == "agreement"]
    # scores have their own tests: equal ones, and those worse than chance, decide nothing
    if not gates or run.experiment.data.task == "ranking" or any(gate.needs_scores for gate in gates):
        return None
    return _one_answer(run) or _unrelated([gate for gate in gates if gate.against == "stable"], run)


def _one_answer(run: Run) -> str | None:
    stable, candidate = run.evidence.stable, run.evidence.candidate
    said = pc.unique(candidate.prediction.filter(~candidate.failed)).to_pylist()
    labels = np.unique(run.dataset.labels[candidate.row]) if run.dataset.labelled else None
    # where all rows have one label, one answer is right
    if len(said) != 1 or (labels is not None and len(labels) < 2):
        return None
    other = pc.fill_null(pc.not_equal(stable.prediction, pa.scalar(said[0])), fill_value=False)
    rows = stable.row[np.asarray(other) & ~stable.failed]
    others = len(first_places(rows, run.dataset.content)[0])
    if others < _FEWEST_OTHERS:
        return None
    return (
        f"the candidate answers {said[0]!r:.40} to every row, and stable something else to {others:,} of "
        "them: send it a few of these by hand; a cache may ignore the row, or the columns not reach the model"
    )


def _unrelated(gates: list[Gate], run: Run) -> str | None:
    """That neither version's answers are seen to have to do with the labels, where rows suffice."""
    if not run.dataset.labelled:
        return None
    shown = "stable's and the candidate's answers agree with the labels no more than chance would"
    advice = (
        "check that the columns reach the model in its order, and that each label belongs to its row; if "
        "both models are that weak, more rows would show that they know something"
    )
    if run.experiment.data.task == "regression":
        means = [gate for gate in gates if gate.entry.test == "regression" and gate.number is None]
        found = next((each for gate in means if (each := _correlations(gate, run))), None)
        return f"{shown} (rank correlation {found[0]:.2f} and {found[1]:.2f}): {advice}" if found else None
    if not any(map(reads_labels, gates)):
        return None
    both = [beside_chance(run.evidence.of(role), run) for role in ROLES]
    kappas = [each.kappa for each in both if each and abs(each.kappa) <= SURE * each.error < _SLIGHT]
    if len(kappas) < len(both):
        return None
    return f"{shown} (Cohen's kappa {kappas[0]:.2f} and {kappas[1]:.2f}): {advice}"


def _correlations(gate: Gate, run: Run) -> tuple[float, float] | None:
    """Each version's rank correlation with the labels, where neither is told from none."""
    stable, candidate = (_rank_correlation(gate, run, run.evidence.of(role)) for role in ROLES)
    return None if stable is None or candidate is None else (stable, candidate)


def _rank_correlation(gate: Gate, run: Run, outcomes: Outcomes) -> float | None:
    """Spearman's, over distinct rows; None: it is told from none, or so few rows cannot tell it."""
    answered = np.flatnonzero(~outcomes.failed)
    places = answered[first_places(outcomes.row[answered], run.dataset.content)[1]]
    noise = SURE / math.sqrt(max(len(places), 1))
    if noise >= _SLIGHT:
        return None
    pair = (answers_of(gate, run, outcomes)[places], truth_of(gate, run.dataset)[outcomes.row[places]])
    correlation = float(np.corrcoef([scipy.stats.rankdata(each) for each in pair])[0, 1])
    return correlation if abs(correlation) <= noise else None
