"""Versions that answer nothing any more when the load ends, whatever their gates say of the time before.

A server by URL has no process that is seen to end. A gate on errors averages over the load, and one whose
margin is wide passes two versions that both ended in its last tenth.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc

from loadtest.experiment.role import ROLES, Role
from loadtest.judge.run import Run
from loadtest.judge.verdict import Word

LEAST = 30
"""Requests in a row, up to the last one; where half fail by chance, one run in 10⁹ ends so."""
FOR_GOOD = 3.0
"""Seconds after which the candidate's silence is harm, and no moment that happens to be the last."""
STABLE_WELL = 0.1
"""Share of requests that stable may fail in that time, if the candidate alone is to be blamed."""


class Silence(NamedTuple):
    """How many requests a version failed up to the last one, and since when, in seconds of the load."""

    requests: int
    since: float


def silence(run: Run, role: Role) -> Silence | None:
    """The silence of a version that had answered before; None: it answers, never did, or is too slow."""
    requests = run.evidence.of(role).requests
    answered = np.flatnonzero(~requests.failed)
    if not len(answered):
        return None
    missing = len(requests) - 1 - int(answered[-1])
    if missing < LEAST or _timed_out(run, role, missing) > missing / 2:
        return None
    return Silence(missing, float(requests.scheduled_at[-missing]))


def _timed_out(run: Run, role: Role, last: int) -> int:
    """Of the last failures of a version, those of requests that waited: a backlog, which its gates name."""
    table = run.samples.table.select(["role", "scheduled_at", "error"])
    failures = table.filter((pc.field("role") == role.value) & pc.field("error").is_valid())
    errors = failures.sort_by("scheduled_at")["error"].slice(max(len(failures) - last, 0))
    return int(pc.sum(pc.equal(errors, "timeout")).as_py() or 0)


def stopped_answering(run: Run) -> tuple[Word, str] | None:
    """The verdict, and why, on a run at whose end a version answers nothing; None: its gates have it."""
    if run.facts.load.cut_off:
        return None  # whatever cut the load off may have ended the servers
    of_stable, of_candidate = (silence(run, role) for role in ROLES)
    stable, candidate = run.evidence.stable.requests, run.evidence.candidate.requests
    if of_stable:
        who = "neither version" if of_candidate else "stable no longer"
        return Word.INVALID, (
            f"{who} answered from {of_stable.since:.1f} s on ({of_stable.requests:,} requests of stable, all "
            "failed): what does not answer is nothing to compare with; see its log, and run again"
        )
    if of_candidate is None:
        return None
    then = stable.failed[stable.scheduled_at >= of_candidate.since]
    if not len(then) or then.mean() > STABLE_WELL:
        return None
    lasted = float(candidate.scheduled_at[-1]) - of_candidate.since
    said = (
        f"the candidate answered none of the last {of_candidate.requests:,} requests, from "
        f"{of_candidate.since:.1f} s on, of which stable failed {int(then.sum()):,} of {len(then):,}"
    )
    if lasted >= FOR_GOOD:
        return Word.FAIL, said
    # a shorter one may be a moment in the middle of which the load ended
    return Word.INCONCLUSIVE, f"{said}; whether it came back is not known: run again"
