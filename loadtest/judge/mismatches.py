"""Mismatches: which ones, and how a gate on them reads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from loadtest.data.baseline import with_scores
from loadtest.experiment.gate import Gate
from loadtest.experiment.role import Role
from loadtest.judge.outcomes import Outcomes
from loadtest.judge.paired_outcomes import Evidence
from loadtest.judge.run import RunFacts

LEAST_COMPARED = 0.9
"""Share of the answers that must have been compared for 'none changed' to mean anything."""
NAMED = 5
"""Requests that a gate's reason names; verdict.json and the samples name more."""


class Changed(NamedTuple):
    """One answer that differs from the row's baseline answer; None: there is none, or not known."""

    request_id: str | None
    row: int
    baseline: str | None
    under_load: str | None

    def __str__(self) -> str:
        name = f"request {self.request_id}" if self.request_id else "a request"
        got = "an unreadable answer" if self.under_load is None else repr(self.under_load)
        return f"{name} (row {self.row}: {got}" + (
            f" instead of {self.baseline!r})" if self.baseline is not None else ")"
        )


def changed(outcomes: Outcomes, most: int) -> list[Changed]:
    """The first ``most`` answers that changed, in the order of their intended sends."""
    places = np.flatnonzero(outcomes.mismatch)
    places = places[np.argsort(outcomes.scheduled_at[places], kind="stable")][:most]
    return [
        Changed(
            outcomes.request_id[place].as_py(),
            int(outcomes.row[place]),
            outcomes.baseline[place].as_py(),
            with_scores(
                outcomes.prediction[place].as_py(),
                outcomes.scores[place].as_py() or outcomes.outputs[place].as_py() or (),
            ),
        )
        for place in places.tolist()
    ]


def counted(gate: Gate, evidence: Evidence) -> str:
    """Why a gate on changed answers passed or failed."""
    candidate = evidence.candidate
    count, compared, all_ = int(candidate.mismatch.sum()), int(candidate.compared.sum()), len(candidate)
    part = "" if compared == all_ else f" ({compared / all_:.0%} of its answers could be compared)"
    text = f"{count:,} of {compared:,} answers differ from the baseline answer to the same row{part}"
    if gate.against == "stable":
        text += f", stable's {int(evidence.stable.mismatch.sum()):,}"
    if count:
        named = changed(candidate, NAMED)
        more = f" and {count - len(named):,} more" if count > len(named) else ""
        text += f": {', '.join(map(str, named))}{more}"
    return text


def compared_share(outcomes: Outcomes) -> float:
    """Share of a version's answers that could be held against a baseline answer."""
    answers = int(np.count_nonzero(~outcomes.failed | outcomes.compared))
    return float(outcomes.compared.sum()) / answers if answers else 0.0


def too_few_compared(name: str, outcomes: Outcomes) -> str:
    """Why the count of changed answers says nothing of the others."""
    compared = int(outcomes.compared.sum())
    return (
        f"only {compared:,} answers of {name} ({compared_share(outcomes):.1%}) could be compared, "
        f"{LEAST_COMPARED:.0%} are needed; let the load end, and give [load] baseline more time"
    )


def not_compared(facts: RunFacts) -> str:
    """Why there is nothing to compare with."""
    asked = facts.load.baseline.get(Role.CANDIDATE)
    if asked is None or not asked.asked:
        return "the candidate has no baseline answers, so no answer can be compared"
    if not asked.steady:
        return "the candidate contradicts itself even without load, so mismatches cannot be detected"
    return f"the candidate answered none of {asked.asked:,} rows before the load, so nothing can be compared"
