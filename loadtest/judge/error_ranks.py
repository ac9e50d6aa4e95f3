"""Gates on errors of a regression that are no sums over rows: the median and the largest error."""

from __future__ import annotations

import numpy as np

from loadtest.experiment.gate import Gate
from loadtest.judge.answered_values import truth_of
from loadtest.judge.distinct_rows import Rows
from loadtest.judge.measurement import Measurement
from loadtest.judge.mismatches import LEAST_COMPARED
from loadtest.judge.outcomes import Floats, Outcomes
from loadtest.judge.paired_outcomes import NoEvidence
from loadtest.judge.quality_tests import row_errors
from loadtest.judge.run import Run, rows_of_slice
from loadtest.stats import medians
from loadtest.stats.estimate import Estimate, Known
from loadtest.stats.medians import MedianDifference, RankQuantile


def median_error(gate: Gate, run: Run) -> Measurement:
    """The median over distinct rows; exact for one version, a paired bootstrap for two."""
    evidence = run.evidence
    s, c = _per_distinct_row(gate, run, evidence.stable), _per_distinct_row(gate, run, evidence.candidate)
    own_s, own_c = float(np.median(s)), float(np.median(c))
    estimate: Estimate
    if gate.against == "absolute":
        estimate = RankQuantile(np.sort(c))
        return Measurement(estimate, gate.margin, own_s, own_c, rows=len(c))
    if gate.relative and own_s <= 0:
        raise NoEvidence(
            f"stable's {gate.metric} is {own_s:g}, so a share of it means nothing: give the margin as a "
            "plain number"
        )
    if evidence.often:
        estimate = MedianDifference(RankQuantile(np.sort(s)), RankQuantile(np.sort(c)), gate.relative)
    else:
        labels = truth_of(gate, run.dataset)
        reach = abs(float(np.median(np.abs(labels - labels.mean()))) - own_c)
        estimate = medians.difference(
            s,
            c,
            relative=gate.relative,
            paired=evidence.paired,
            rows=float(min(len(s), len(c))),
            reach=reach / own_s if gate.relative else reach,
        )
    return Measurement(estimate, gate.margin, own_s, own_c, rows=len(c))


def _per_distinct_row(gate: Gate, run: Run, outcomes: Outcomes) -> Floats:
    _, _, part = row_errors(gate, run, outcomes)
    return Rows.of(outcomes, run.dataset).mean(part)


def largest_error(gate: Gate, run: Run) -> Measurement:
    """The largest error on the rows that were sent: no interval tells of rows that were not."""
    s, c = (float(row_errors(gate, run, run.evidence.of(role))[2].max()) for role in ("stable", "candidate"))
    seen = len(Rows.of(run.evidence.candidate, run.dataset).rows)
    there = len(np.unique(run.dataset.content[rows_of_slice(gate, run.dataset)]))
    if c <= gate.bound and seen < LEAST_COMPARED * there and not run.evidence.often:
        raise NoEvidence(
            f"the largest error on {seen:,} of {there:,} distinct rows is {c:.4g}, and says nothing of the "
            f"others; {LEAST_COMPARED:.0%} of the rows must be sent, so run longer or at a higher rate"
        )
    return Measurement(Known(c), gate.bound, s, c, rows=seen)
