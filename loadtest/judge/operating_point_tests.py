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
from loadtest.stats.bootstrap import BootstrapEstimate
from loadtest.stats.operating_points import Kind, OwnLevel


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

    Corrected for their bias, these took as good a candidate for worse in up to 12% of runs. A bound must
    also hold by ``operating_points.OwnLevel``: without that, it passed at its true value in up to 44% of runs
    where few positive rows lie above the threshold.
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
    value = candidate.value
    if gate.against == "stable":
        value -= stable.value
        moved = moved - _replicates(stable, least, kind, seed=0 if evidence.paired else 1)
    moved = np.sort(moved[np.isfinite(moved)])
    # where no answer was useful it would be the positive rows' share, or a recall of 0
    useless = float(candidate.positive.mean()) if kind == "precision" else 0.0
    reach = abs(candidate.value - useless)
    drawn = BootstrapEstimate(value, rarest, reach, value + moved, 0.0, corrected=False)
    shown = stable.value, candidate.value
    if gate.against == "stable":
        return Measurement(drawn, gate.margin, *shown, rows=len(candidate.score))
    counted = operating_points.counted(candidate.positive, candidate.score)
    level = operating_points.OwnLevel(drawn, counted, least, kind)
    note = _too_few(level, 1 - run.experiment.confidence, gate)
    return Measurement(level, gate.margin, *shown, rows=len(candidate.score), note=note)


def _too_few(level: OwnLevel, alpha: float, gate: Gate) -> str:
    """What the positive rows above the threshold could not show, however good the version is; or nothing."""
    precision = gate.margin if level.kind == "precision" else level.least
    if precision >= 1 or gate.margin <= 0:
        return ""
    needed = math.ceil(math.log(alpha) / math.log(precision))
    if level.above >= needed:
        return ""
    return (
        f"{level.above} positive rows lie above the threshold, and fewer than {needed} cannot show a "
        f"precision of {precision:.4g}, even with no negative row among them"
    )


def _scored(gate: Gate, run: Run, outcomes: Outcomes, least: float, kind: Kind) -> _Scored:
    rows = Rows.of(outcomes, run.dataset)
    score = rows.mean(filled(outcomes, run, median=True)[:, 1])
    positive = run.dataset.class_places[rows.rows] == 1
    if not positive.any():
        raise NoEvidence(f"{gate.metric} needs positive rows, and none was answered")
    return _Scored(positive, score, operating_points.best(positive, score, least, kind))


def _replicates(of: _Scored, least: float, kind: Kind, seed: int) -> Floats:
    return operating_points.replicates(operating_points.tallies(of.positive, of.score), least, kind, seed)
