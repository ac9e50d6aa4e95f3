"""Does the candidate answer as stable does? The one question about answers that needs no labels.

Distinct rows are the unit. A row on which stable answered and the candidate did not is one on which they
differ; where stable did not answer there is nothing to compare with.
"""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from loadtest.data.baseline import Nearness, numbers
from loadtest.experiment.gate import Gate
from loadtest.judge.measurement import Measurement
from loadtest.judge.mismatches import LEAST_COMPARED
from loadtest.judge.outcomes import Flags, Outcomes
from loadtest.judge.paired_outcomes import Evidence, NoEvidence
from loadtest.judge.quality_tests import Rows
from loadtest.judge.run import Run
from loadtest.stats.estimate import Estimate
from loadtest.stats.proportions import Share
from loadtest.stats.share_bets import ShareBets

TOLERANCE = 1e-3
"""How far two numbers that count as the same answer may lie apart, as a share of the spread of stable's."""
_NAMED = 3


def agreement(gate: Gate, run: Run) -> Measurement:
    """Share of distinct rows that both versions answer alike; Clopper and Pearson's interval.

    What is looked at often is bet on, each row once, as accuracy is.
    """
    evidence = run.evidence
    if not evidence.paired:
        raise NoEvidence("no request goes to both versions, so their answers cannot be compared")
    if evidence.often:
        evidence = evidence.first_of_each_row(run.dataset.content)
    sent = len(Rows.of(evidence.stable, run.dataset).rows)
    answered = ~evidence.stable.failed
    stable, candidate = evidence.stable.where(answered), evidence.candidate.where(answered)
    rows = Rows.of(stable, run.dataset)
    compared = len(rows.rows)
    if compared < max(1, LEAST_COMPARED * sent):
        raise NoEvidence(
            f"stable answered {compared:,} of {sent:,} distinct rows, {LEAST_COMPARED:.0%} are needed; "
            "see its errors, lower the rate or give it more CPU"
        )
    near = Nearness(numbers(stable.prediction), TOLERANCE) if _of_numbers(run) else None
    same = _same(stable, candidate, near)
    effect = _bursts(evidence, stable, candidate, same)
    kind = ShareBets if evidence.often else Share
    estimate: Estimate = kind(float(rows.mean(same.astype(np.float64)).sum()) / effect, compared / effect)
    notes = [_examples(stable, candidate, same)]
    if near is not None:
        notes.append(f"numbers that differ by at most {near.apart:.3g} count as the same")
    note = "; ".join(filter(None, notes))
    return Measurement(estimate, gate.margin, None, estimate.value, rows=compared, note=note)


def _of_numbers(run: Run) -> bool:
    return run.experiment.data.task == "regression"


def _same(stable: Outcomes, candidate: Outcomes, near: Nearness | None) -> Flags:
    equal = pc.fill_null(pc.equal(stable.prediction, candidate.prediction), False)
    same = np.asarray(equal.to_numpy(zero_copy_only=False), dtype=bool)
    if near is not None:
        same |= near.of(numbers(candidate.prediction), numbers(stable.prediction))
    return same & ~candidate.failed


def _bursts(evidence: Evidence, stable: Outcomes, candidate: Outcomes, same: Flags) -> float:
    # answers depend on the row alone until errors come, and those come in bursts
    if not candidate.failed.any():
        return 1.0
    evidence.await_first_analysis()
    return evidence.bursts(stable, same.astype(np.float64))


def _examples(stable: Outcomes, candidate: Outcomes, same: Flags) -> str:
    """The first rows on which the versions differ, as a clause."""
    apart = np.flatnonzero(~same & ~candidate.failed)
    named = list(dict.fromkeys(stable.row[apart].tolist()))[:_NAMED]
    places = [int(apart[np.flatnonzero(stable.row[apart] == row)[0]]) for row in named]
    shown = [
        f"row {stable.row[place]}: {candidate.prediction[place].as_py()!r} instead of "
        f"{stable.prediction[place].as_py()!r}"
        for place in places
    ]
    return f"differs on {', '.join(shown)}" if shown else ""
