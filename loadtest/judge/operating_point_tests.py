"""Gates on the precision at a recall, and on the recall at a precision; rows are as in ``score_tests``."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadtest.experiment.gate import Gate
from loadtest.judge.distinct_rows import Rows
from loadtest.judge.measurement import Measurement
from loadtest.judge.outcomes import Floats, Outcomes
from loadtest.judge.paired_outcomes import NoEvidence
from loadtest.judge.run import Run
from loadtest.judge.score_tests import FEWEST_AT_A_POINT, filled
from loadtest.stats import operating_points
from loadtest.stats.bootstrap import ANYTHING, BootstrapEstimate
from loadtest.stats.operating_points import Kind


class _Scored(NamedTuple):
    """The distinct rows of one version, shape (rows,), and the metric of them all."""

    positive: NDArray[np.bool_]
    score: Floats
    value: float

    @property
    def rarest(self) -> int:
        return int(min(self.positive.sum(), (~self.positive).sum()))


def operating_point(gate: Gate, run: Run) -> Measurement:
    """The best precision, or recall, over thresholds, by quantiles of the paired bootstrap.

    Corrected for their bias, these took as good a candidate for worse in up to 12% of runs.
    """
    evidence = run.evidence
    kind: Kind = "precision" if gate.metric.startswith("precision") else "recall"
    least = gate.number or 0.0
    stable, candidate = (
        _scored(gate, run, each, least, kind) for each in (evidence.stable, evidence.candidate)
    )
    rarest = min(stable.rarest, candidate.rarest)
    if rarest < FEWEST_AT_A_POINT:
        raise NoEvidence(
            f"{gate.metric} rests on {rarest} rows of one class, {FEWEST_AT_A_POINT} are needed; run longer, "
            "or gate roc_auc"
        )
    moved = _replicates(candidate, least, kind, seed=0)
    value, within = candidate.value, (-math.inf, 1.0)
    if gate.against == "stable":
        value, within = candidate.value - stable.value, ANYTHING
        moved = moved - _replicates(stable, least, kind, seed=0 if evidence.paired else 1)
    moved = np.sort(moved[np.isfinite(moved)])
    # where no answer was useful it would be the positive rows' share, or a recall of 0
    useless = float(candidate.positive.mean()) if kind == "precision" else 0.0
    reach = abs(candidate.value - useless)
    estimate = BootstrapEstimate(value, rarest, reach, value + moved, 0.0, within=within, corrected=False)
    return Measurement(estimate, gate.margin, stable.value, candidate.value, rows=len(candidate.score))


def _scored(gate: Gate, run: Run, outcomes: Outcomes, least: float, kind: Kind) -> _Scored:
    rows = Rows.of(outcomes, run.dataset)
    score = rows.mean(filled(outcomes, run, median=True)[:, 1])
    positive = run.dataset.class_places[rows.rows] == 1
    if not positive.any():
        raise NoEvidence(f"{gate.metric} needs positive rows, and none was answered")
    return _Scored(positive, score, operating_points.best(positive, score, least, kind))


def _replicates(of: _Scored, least: float, kind: Kind, seed: int) -> Floats:
    return operating_points.replicates(operating_points.tallies(of.positive, of.score), least, kind, seed)
