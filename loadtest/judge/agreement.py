"""Does the candidate answer as stable does, and how far do its scores lie from stable's? Without labels.

Distinct rows are the unit. A row on which stable answered and the candidate did not is one on which they
differ; where stable did not answer there is nothing to compare with.
"""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from loadtest.data.baseline import AGREEMENT_TOLERANCE, Nearness, as_matrix, numbers, with_scores
from loadtest.experiment.gate import Gate
from loadtest.judge.distinct_rows import Rows
from loadtest.judge.measurement import Measurement
from loadtest.judge.mismatches import LEAST_COMPARED
from loadtest.judge.outcomes import Flags, Floats, Outcomes
from loadtest.judge.paired_outcomes import Evidence, NoEvidence
from loadtest.judge.run import Run
from loadtest.stats.estimate import Estimate
from loadtest.stats.medians import RankQuantile
from loadtest.stats.proportions import Share
from loadtest.stats.share_bets import ShareBets

_NAMED = 3
_QUANTILES = (0.5, 0.9, 0.99)
_ROUNDING = 1e-6
"""Samples keep scores in single precision."""


def agreement(gate: Gate, run: Run) -> Measurement:
    """Share of distinct rows that both versions answer alike; Clopper and Pearson's interval.

    Alike is the same answer, and with ``[scores=0.01]`` scores no further apart than that in any class. What
    is looked at often is bet on, each row once, as accuracy is.
    """
    evidence, stable, candidate = _answered(run)
    rows = Rows.of(stable, run.dataset)
    compared = len(rows.rows)
    near = Nearness(numbers(stable.prediction), AGREEMENT_TOLERANCE) if _of_numbers(run) else None
    same = _same(stable, candidate, near)
    within = next((float(text) for key, text in gate.arguments if key == "scores"), None)
    if within is not None:
        # NaN, where the candidate gave none, is near to nothing
        same &= _apart(stable, candidate) <= within + _ROUNDING
    effect = _bursts(evidence, stable, candidate, same)
    kind = ShareBets if evidence.often else Share
    estimate: Estimate = kind(float(rows.mean(same.astype(np.float64)).sum()) / effect, compared / effect)
    notes = [_examples(stable, candidate, same)]
    if near is not None:
        notes.append(f"numbers that differ by at most {near.apart:.3g} count as the same")
    note = "; ".join(filter(None, notes))
    return Measurement(estimate, gate.margin, None, estimate.value, rows=compared, note=note)


def score_shift(gate: Gate, run: Run) -> Measurement:
    """A quantile over distinct rows of how far the versions' scores lie apart, by exact order statistics.

    Of several classes the one that moved furthest counts, of a regression the answer. A row that only stable
    answered moved as far as any did, and at least as far as stable's scores reach.
    """
    _, stable, candidate = _answered(run)
    if _of_numbers(run):
        known = numbers(stable.prediction)
        apart = np.abs(numbers(candidate.prediction) - known)
    else:
        apart, known = _apart(stable, candidate), _scores(stable)
    gone = np.isnan(apart)
    apart[gone] = max(float(np.nanmax(known) - np.nanmin(known)), float(np.max(apart[~gone], initial=0.0)))
    ascending = np.sort(Rows.of(stable, run.dataset).mean(apart))
    estimate = RankQuantile(ascending, gate.number or 0.0)
    shown = ", ".join(f"{q:.0%} by at most {np.quantile(ascending, q):.3g}" for q in _QUANTILES)
    note = f"of the rows {shown}, the furthest by {ascending[-1]:.3g}"
    return Measurement(estimate, gate.margin, None, estimate.value, rows=len(ascending), note=note)


def _answered(run: Run) -> tuple[Evidence, Outcomes, Outcomes]:
    """What stable answered, and the candidate's outcomes of the same arrivals.

    Raises:
        NoEvidence: there are no pairs, or stable answered too few of them.
    """
    evidence = run.evidence
    if not evidence.paired:
        raise NoEvidence("no request goes to both versions, so their answers cannot be compared")
    if evidence.often:
        evidence = evidence.first_of_each_row(run.dataset.content)
    sent = len(Rows.of(evidence.stable, run.dataset).rows)
    answered = ~evidence.stable.failed
    stable, candidate = evidence.stable.where(answered), evidence.candidate.where(answered)
    compared = len(Rows.of(stable, run.dataset).rows) if len(stable) else 0
    if compared < max(1, LEAST_COMPARED * sent):
        raise NoEvidence(
            f"stable answered {compared:,} of {sent:,} distinct rows, {LEAST_COMPARED:.0%} are needed; "
            "see its errors, lower the rate or give it more CPU"
        )
    return evidence, stable, candidate


def _apart(stable: Outcomes, candidate: Outcomes) -> Floats:
    """How far scores lie apart in the class that moved furthest, shape (n,); NaN where one has none."""
    s, c = _scores(stable), _scores(candidate)
    if s.shape[1] != c.shape[1]:
        # one score p is (1 - p, p)
        s, c = (each[:, -1:] if each.shape[1] == 2 else each for each in (s, c))
    return np.asarray(np.abs(s - c).max(axis=1))


def _scores(outcomes: Outcomes) -> Floats:
    """Scores per arrival, shape (n, classes or 1), NaN where there are none."""
    found = as_matrix(outcomes.scores)
    if not found.shape[1]:
        raise NoEvidence("the samples carry no scores; measure again with this gate in the experiment")
    return found


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
        f"row {stable.row[place]}: {_told(candidate, place)!r} instead of {_told(stable, place)!r}"
        for place in places
    ]
    return f"differs on {', '.join(shown)}" if shown else ""


def _told(outcomes: Outcomes, place: int) -> str | None:
    return with_scores(outcomes.prediction[place].as_py(), outcomes.scores[place].as_py() or ())
