"""The gate on the expected calibration error; rows are as in ``score_tests``."""

from __future__ import annotations

import numpy as np

from loadtest.experiment.gate import Gate
from loadtest.judge.distinct_rows import Rows
from loadtest.judge.measurement import Measurement
from loadtest.judge.outcomes import Outcomes
from loadtest.judge.paired_outcomes import NoEvidence
from loadtest.judge.run import Run
from loadtest.judge.score_tests import FEWEST_AT_A_POINT, filled, refuse_others
from loadtest.stats.calibration_error import BiasedUpwards, estimate


def calibration_error(gate: Gate, run: Run) -> Measurement:
    """Over 15 bins of equal width; see ``loadtest.stats.calibration_error``."""
    stable, candidate = (_of(run, outcomes) for outcomes in (run.evidence.stable, run.evidence.candidate))
    rows = int(candidate.plain.rows)
    note = f"too large by at most {candidate.bias:.2g}, as it rests on {rows:,} rows"
    return Measurement(candidate, gate.margin, stable.value, candidate.value, rows=rows, note=note)


def _of(run: Run, outcomes: Outcomes) -> BiasedUpwards:
    scores = filled(outcomes, run, median=False)
    refuse_others(outcomes, scores, "stable" if outcomes is run.evidence.stable else "the candidate")
    rows = Rows.of(outcomes, run.dataset)
    truth = run.dataset.class_places[rows.rows]
    fewest = int(np.bincount(truth, minlength=2).min())
    if scores.shape[1] == 2 and fewest < FEWEST_AT_A_POINT:
        raise NoEvidence(
            f"ece rests on {fewest} rows of one class, {FEWEST_AT_A_POINT} are needed; run longer, or gate "
            "log_loss"
        )
    each = np.column_stack([rows.mean(column) for column in scores.T])
    return estimate(each, truth)
