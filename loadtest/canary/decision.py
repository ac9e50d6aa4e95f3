"""The decision: what happens to the candidate now. A pure function of where it is and what is known.

In this order, the first that applies:

1. **Roll back at once**: the candidate is dead or not ready, the gateway has ejected it, metrics are missing,
   or a rollback gate has failed. Not while stable itself is not ready: that would send everybody to it.
2. **Pause**: an alarm, which is not proof. The split goes to 0 at once, and the candidate begins anew after
   the pause, on fresh evidence; the last alarm of ``alarms`` is a rollback.
3. **Go up** one step, or promote after the last: the candidate has answered often enough at this one, and
   every gate has shown what the next one needs.
4. **Hold**, until ``hold`` is over; then roll back or stay, as ``undecided`` says.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from loadtest.canary.evidence import Evidence
from loadtest.config import Canary
from loadtest.sample import CANDIDATE, STABLE

Verb = Literal["hold", "step", "pause", "rollback", "promote", "stay"]


class Position(NamedTuple):
    """Where the candidate is.

    Args:
        split: percent of the unpinned traffic.
        since: seconds on the controller's clock at which that began.
        alarms: how often it was paused.
        paused: it is paused now.
    """

    split: float
    since: float
    alarms: int = 0
    paused: bool = False


class Decision(NamedTuple):
    """What to do now, and why.

    Args:
        verb: ``stay`` ends the controller and leaves the split; ``rollback`` and ``promote`` end it too.
        split: in force afterwards (of ``promote``: the candidate is stable then).
        why: one line for people.
    """

    verb: Verb
    split: float
    why: str


def decide(policy: Canary, position: Position, evidence: Evidence) -> Decision:
    """The decision of this moment.

    Args:
        policy: the experiment's ``[canary]`` part.
        position: where the candidate is.
        evidence: what is known.
    """
    if evidence.misses[STABLE] >= policy.misses:
        return Decision(
            "hold", position.split, "stable itself is not ready: a rollback would not help anybody"
        )
    if reason := _fault(policy, evidence):
        return Decision("rollback", 0.0, reason)
    if position.paused:
        return _after_pause(policy, position, evidence)
    alarms = [alarm for alarm in evidence.alarms if alarm.finding == "alarm"]
    if alarms:
        why = f"{alarms[0].gate}: {alarms[0].text}"
        if position.alarms + 1 >= policy.alarms:
            return Decision("rollback", 0.0, f"alarm {position.alarms + 1}: {why}")
        return Decision("pause", 0.0, f"alarm {position.alarms + 1} of {policy.alarms}: {why}")
    missing = _missing(policy, position, evidence)
    if missing is None:
        return _up(policy, position)
    if evidence.at - position.since >= policy.hold:
        why = f"undecided after {policy.hold:g} s at {position.split:g}%: {missing}"
        back = policy.undecided == "rollback"
        return Decision("rollback", 0.0, why) if back else Decision("stay", position.split, why)
    return Decision("hold", position.split, missing)


def _fault(policy: Canary, evidence: Evidence) -> str | None:
    if evidence.misses[CANDIDATE] >= policy.misses:
        return f"the candidate did not pass {evidence.misses[CANDIDATE]} health checks in a row"
    if evidence.ejected:
        return "the gateway ejected the candidate after failures in a row"
    for source, seconds in evidence.silent.items():
        if seconds >= policy.missing:
            return f"no metrics of {source} for {seconds:.1f} s"
    failed = [alarm for alarm in evidence.alarms if alarm.finding == "fail"]
    return f"{failed[0].gate}: {failed[0].text}" if failed else None


def _after_pause(policy: Canary, position: Position, evidence: Evidence) -> Decision:
    rest = policy.pause - (evidence.at - position.since)
    if rest > 0:
        return Decision("hold", 0.0, f"paused after an alarm, {rest:.0f} s more")
    return Decision("step", policy.steps[0], "the pause is over: from the first step again")


def _missing(policy: Canary, position: Position, evidence: Evidence) -> str | None:
    """What the next move still waits for; None: nothing."""
    if position.split >= 100:
        rest = policy.settle - (evidence.at - position.since)
        return f"everybody has the candidate; it settles for {rest:.0f} s more" if rest > 0 else None
    if position.split == 0:
        return None if evidence.misses[CANDIDATE] == 0 else "the candidate is not ready"
    if evidence.answers < policy.answers:
        return f"{evidence.answers:.0f} of {policy.answers} answers of the candidate at {position.split:g}%"
    step = _next(policy, position.split)
    place = policy.steps.index(step)
    open_ = [proof for proof in evidence.proofs if proof.shown[place] < 1]
    if not open_:
        return None
    least = min(open_, key=lambda proof: proof.shown[place])
    return f"for {step:g}%: {least.shown[place]:.0%} of the evidence for {least.gate} ({least.text})"


def _up(policy: Canary, position: Position) -> Decision:
    if position.split >= 100:
        return Decision("promote", 0.0, "every gate is met, and everybody has had the candidate")
    step = _next(policy, position.split)
    if position.split == 0:
        return Decision("step", step, "the candidate is ready")
    return Decision("step", step, f"enough is shown at {position.split:g}%")


def _next(policy: Canary, split: float) -> float:
    return next(step for step in policy.steps if step > split)
