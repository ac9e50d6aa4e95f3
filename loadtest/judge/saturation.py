"""Whether a version keeps up with the rate: where it does not, its backlog grows as long as the load lasts.

The latency of such a version is a matter of the load's length, and more load would settle no gate on it. The
backlog is what has arrived and is not answered yet; where most requests wait for half of the time-out or
more, those that were given up have not been answered either. Its growth from one time block to the next
varies independently while it grows, and cancels out while it does not, so Student's t over the blocks is an
interval for the slope that errs on the side of no growth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loadtest.experiment.role import ROLES, Role
from loadtest.judge.gate_test import Judged
from loadtest.judge.outcomes import Flags, Floats, Outcomes
from loadtest.judge.phases import phases_of
from loadtest.judge.run import Run
from loadtest.judge.verdict import Word
from loadtest.stats.estimate import StudentEstimate
from loadtest.stats.pieces import pieces

FEWEST_BLOCKS = 6
LEAST_GROWTH = 0.01
"""Share of the arrivals that must be left over for a backlog to be called growing."""
_LONG_WAIT = 0.5
"""Share of the time-out that most requests wait where those given up count as not answered."""
_EARLY = 100
"""By how much smaller the chance of a false alarm is at an analysis that may end a run."""
_CONCERNED = {"latency", "goodput", "throughput", "errors"}
"""The tests of metrics that a backlog decides."""
_REMEDY = "lower the rate or give it more CPU"
OVER_SATURATED = f"over-saturated at this rate: {_REMEDY}"
"""What a gate says where another one has the figures."""


def growth(outcomes: Outcomes, duration: float, blocks: int, timeout: float) -> StudentEstimate | None:
    """By how many requests a second a version's backlog grows; None: too little load to tell.

    ``duration`` is cut into equal ``blocks``; a request is given up after ``timeout``; both are in seconds.
    """
    if blocks < FEWEST_BLOCKS or not len(outcomes):
        return None
    ends = np.asarray(duration / blocks * np.arange(1, blocks + 1), np.float64)
    # arrivals are in order of time
    late = outcomes.latency[np.searchsorted(outcomes.scheduled_at, duration / 2) :]
    given_up = outcomes.failed if _most_wait(late, _LONG_WAIT * timeout) else None
    backlog = np.searchsorted(outcomes.scheduled_at, ends) - _answered_before(ends, outcomes, given_up)
    steps = np.diff(backlog) * (blocks / duration)
    error = float(steps.std(ddof=1)) / len(steps) ** 0.5
    return StudentEstimate(float(steps.mean()), error, len(steps) - 1)


def _most_wait(latency: Floats, at_least: float) -> bool:
    """Whether the median is ``at_least`` so long."""
    longer, rest = 2 * int(np.count_nonzero(latency >= at_least)), len(latency)
    # only of two halves of equal size is the median between them, and must be computed
    return longer > rest or (0 < longer == rest and float(np.median(latency)) >= at_least)


def _answered_before(ends: Floats, outcomes: Outcomes, given_up: Flags | None) -> Floats:
    """How many had been answered before each of ``ends``, which ascend, shape (blocks,).

    ``given_up`` were never answered; None: those that were given up count as answered by then.
    """
    counts = np.zeros(len(ends) + 1)
    for piece in pieces(len(outcomes)):
        answered = outcomes.scheduled_at[piece] + outcomes.latency[piece]
        if given_up is not None:
            answered = answered[~given_up[piece]]
        counts += np.bincount(np.searchsorted(ends, answered, side="right"), minlength=len(counts))
    return np.cumsum(counts[:-1])


def over_saturated(run: Run, role: Role, alpha: float | None = None) -> str | None:
    """The line that says so of a version; None: it keeps up, answers nothing at all, or the run is too
    short to tell.

    ``alpha`` lies outside of the growth's interval, on each side; None: the run's.
    """
    for part, where in _steady_parts(run):
        evidence = part.evidence.requests
        outcomes, seconds = evidence.of(role), evidence.duration
        if outcomes.failed.all():
            # it is down, and no lower rate would help
            continue
        found = growth(outcomes, seconds, evidence.burst_blocks, run.experiment.load.timeout)
        if found is None:
            continue
        low, high = found.interval(run.alpha if alpha is None else alpha)
        rate = len(outcomes) / seconds
        if low > LEAST_GROWTH * rate:
            name = "stable's" if role == Role.STABLE else "the candidate's"
            return (
                f"over-saturated at this rate{where}: {name} backlog grows by {low:.1f} to {high:.1f} "
                f"requests a second, of {rate:.1f} that arrive"
            )
    return None


def _steady_parts(run: Run) -> list[tuple[Run, str]]:
    """The parts of a run at a constant rate, with the words that name them: a backlog grows with the rate."""
    if run.evidence.phase_ends:
        return [
            (run.between(begin, end - begin), f" ({name})")
            for (name, phase, begin, end) in phases_of(run)
            if phase.end_rate == phase.rate
        ]
    restarts = run.facts.load.restarts
    return [(run.between(one.begins_s, one.duration_s), "") for one in restarts] or [(run, "")]


def hopeless(judged: Sequence[Judged], run: Run) -> str | None:
    """Why a run that is to end when it is decided ends now: no more load would settle its open gates.

    It is asked at every analysis, so it takes far more than once at the end.
    """
    if not any(_concerns(j) for j in judged):
        return None
    strict = run.alpha / _EARLY
    line = next((line for role in ROLES if (line := over_saturated(run, role, strict))), None)
    return line and f"{line}; {_REMEDY}"


def _concerns(judged: Judged) -> bool:
    """Whether a gate is not met, and a backlog has to do with it."""
    return judged.result.gate.entry.test in _CONCERNED and judged.result.verdict is not Word.PASS


def with_saturation(judged: list[Judged], run: Run) -> tuple[list[Judged], str]:
    """The gates that are not met because a version does not keep up say so; and what they say, or nothing.

    The first of them has the figures, which are the same for all.
    """
    lines = [line for role in ROLES if (line := over_saturated(run, role))]
    concerned = [place for place, j in enumerate(judged) if _concerns(j)]
    if not lines or not concerned:
        return judged, ""
    text = f"{'; '.join(lines)}; {_REMEDY}"
    explained = list(judged)
    for place in concerned:
        said = text if place == concerned[0] else OVER_SATURATED
        result, more = judged[place].result, judged[place].more
        # with more load the backlog would only be longer
        reason = result.reason.replace(more, "") if more else result.reason
        explained[place] = judged[place]._replace(
            result=result.model_copy(update={"reason": f"{reason}; {said}"}), seconds=None, more=""
        )
    return explained, text
