"""Gates on quantiles of latency that lie among requests without an answer in time."""

from __future__ import annotations

import math

import numpy as np

from loadtest.experiment.gate import Gate
from loadtest.judge.measurement import Measurement
from loadtest.judge.outcomes import Outcomes
from loadtest.judge.run import Run
from loadtest.stats.censored import CensoredQuantile, reaches_censored
from loadtest.stats.quantiles import Blocked


def censored_latency(gate: Gate, run: Run, stable: Blocked, candidate: Blocked) -> Measurement:
    """Measure a gate of which the time-out hides a quantile, or might without one of the time blocks.

    The latencies are in seconds, and of the run's slice, if any.
    """
    q, timeout = gate.entry.quantile or 0.0, run.experiment.load.timeout
    own = [side.quantile(q) for side in (stable, candidate)]
    own_s, own_c = (None if value >= timeout else value for value in own)
    against_stable = gate.against == "stable"
    hidden = [
        _hidden(gate, name, outcomes, timeout, surely=value >= timeout)
        for name, outcomes, side, value, counts in (
            ("stable", run.evidence.stable, stable, own[0], against_stable),
            ("the candidate", run.evidence.candidate, candidate, own[1], True),
        )
        if counts and reaches_censored(side, q, timeout)
    ]
    reference = (
        np.append(own[0], stable.leave_one_out(q)) if against_stable else np.ones(1 + candidate.blocks)
    )
    ratio = gate.relative or not against_stable
    estimate = CensoredQuantile(
        candidate,
        q,
        timeout,
        scale="ratio" if ratio else "difference",
        reference=np.minimum(reference, timeout) if against_stable else reference,
        known=not against_stable or not reaches_censored(stable, q, timeout),
        stretch=1.0 if against_stable else run.evidence.early_drift,
    )
    margin = gate.bound
    if ratio:
        margin = math.log1p(gate.bound) if against_stable else math.log(gate.bound)
    to_base = (math.expm1 if against_stable else math.exp) if ratio else float
    return Measurement(estimate, margin, own_s, own_c, to_base=to_base, censored=" and ".join(hidden))


def _hidden(gate: Gate, name: str, outcomes: Outcomes, timeout: float, *, surely: bool) -> str:
    late = float(np.mean(outcomes.latency >= timeout))
    verb = "is" if surely else "may be"
    share = f"{late:.2%} not answered in it"
    return f"{gate.metric} of {name} {verb} at least the time-out of {timeout:g} s ({share})"
