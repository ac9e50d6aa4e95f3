"""The decision: what happens to the candidate now. A pure function of where it is and what is known.

In this order, the first that applies:

1. **Roll back at once**: the candidate is dead or not ready, the gateway has ejected it, metrics are missing,
   or a rollback gate has failed. Not while stable itself is not ready: that would send everybody to it.
2. **Pause**: an alarm, which is not proof. The split goes to 0 at once, and the candidate starts again after
   the pause, on fresh evidence; the last alarm of ``alarms`` is a rollback.
   In the shadow nobody is harmed: an alarm holds the candidate there until it fades or is proof, and so does
   a gate that only the shadow can show.
3. **Into the shadow** before the first step, where ``shadow`` asks for it.
4. **Go up** one step, or promote after the last: the candidate has answered often enough at this one, and
   every gate has shown what the next one needs.
5. **Hold**, until ``hold`` is over; then roll back or stay, as ``undecided`` says. That is no finding on the
   candidate, and where nobody came the reason says so.

While the **split is broken** the arms differ by more than their version: nothing goes up, and what a gate
says takes the candidate out as before, but is no finding on the candidate, unless only the candidate's own
server says that the split is broken.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from loadtest.canary.live_evidence import ANSWERS, FEEDBACK, Evidence
from loadtest.canary.split_check import TrueShares
from loadtest.experiment.experiment import Canary
from loadtest.experiment.role import Role

IDLE = 60.0
"""Seconds without an answer, or without feedback, after which the reason says so."""

Verb = Literal["hold", "shadow", "step", "pause", "rollback", "promote", "stay"]


class Position(NamedTuple):
    """Where the candidate is.

    Args:
        split: percent of the unpinned traffic.
        since: seconds on the controller's clock at which that began.
        alarms: how often it was paused.
        paused: it is paused now.
        shadow: it is sent a copy of the traffic.
    """

    split: float
    since: float
    alarms: int = 0
    paused: bool = False
    shadow: bool = False


class Decision(NamedTuple):
    """What to do now, and why.

    Args:
        verb: ``stay`` ends the controller and leaves the split; ``rollback`` and ``promote`` end it too.
        split: in force afterwards (of ``promote``: the candidate is stable then).
        why: one line for people.
        harm: a rollback for something known against the candidate; not one because nothing was decided.
    """

    verb: Verb
    split: float
    why: str
    harm: bool = True


_EJECTED = "the gateway still keeps the candidate out after failures in a row"


def decide(policy: Canary, position: Position, evidence: Evidence) -> Decision:
    """The decision of this moment."""
    if evidence.misses[Role.STABLE] >= policy.misses:
        return Decision(
            "hold", position.split, "stable itself is not ready: a rollback would not help anybody"
        )
    broken = evidence.arms.problem if evidence.arms else None
    if reason := _fault(policy, position, evidence):
        return Decision("rollback", 0.0, reason)
    if reason := _silence(policy, evidence):
        # out, because nothing is known any more; whoever else fell silent is not the candidate's fault
        return Decision(
            "rollback", 0.0, reason, harm=evidence.silent.get(Role.CANDIDATE, 0.0) >= policy.missing
        )
    if reason := _failed(evidence):
        return _blamed("rollback", reason, evidence.arms)
    if position.paused:
        return _after_pause(policy, position, evidence)
    if position.shadow:
        return _in_shadow(policy, position, evidence)
    alarms = [alarm for alarm in evidence.alarms if alarm.finding == "alarm"]
    if alarms:
        why = f"{alarms[0].gate}: {alarms[0].text}"
        if position.alarms + 1 >= policy.alarms:
            return _blamed("rollback", f"alarm {position.alarms + 1}: {why}", evidence.arms)
        return _blamed("pause", f"alarm {position.alarms + 1} of {policy.alarms}: {why}", evidence.arms)
    if broken:
        return _hold(policy, position, evidence, broken)
    missing = _missing(policy, position, evidence)
    return _up(policy, position) if missing is None else _hold(policy, position, evidence, missing)


def _blamed(verb: Verb, why: str, arms: TrueShares | None) -> Decision:
    """Out of the traffic; no finding on the candidate where the arms cannot be compared."""
    if arms is None:
        return Decision(verb, 0.0, why)
    if arms.problem and arms.confirmed:
        return Decision(verb, 0.0, f"{why}; no finding on the candidate: {arms.problem}", harm=False)
    alone = f"only the candidate's server says that {arms.problem}" if arms.problem else None
    return Decision(verb, 0.0, "; ".join(filter(None, (why, alone, arms.disputed))))


def _hold(policy: Canary, position: Position, evidence: Evidence, missing: str) -> Decision:
    if reason := _nobody(policy, evidence):
        missing = f"{missing}; {reason}"
    if evidence.at - position.since >= policy.hold:
        where = "in the shadow" if position.shadow else f"at {position.split:g}%"
        why = f"undecided after {policy.hold:g} s {where}: {missing}"
        back = policy.undecided == "rollback"
        return Decision("rollback", 0.0, why, harm=False) if back else Decision("stay", position.split, why)
    return Decision("hold", position.split, missing)


def _nobody(policy: Canary, evidence: Evidence) -> str | None:
    """What did not come, where it is not the candidate's doing; None: nothing is amiss."""
    quiet = evidence.idle.get(ANSWERS, 0.0)
    if quiet >= IDLE:
        return f"nobody came: {evidence.answers:.0f} of {policy.answers} answers, none for {quiet:.0f} s"
    quiet = evidence.idle.get(FEEDBACK, 0.0)
    return f"no feedback for {quiet:.0f} s" if quiet >= IDLE else None


def _fault(policy: Canary, position: Position, evidence: Evidence) -> str | None:
    if evidence.misses[Role.CANDIDATE] >= policy.misses:
        return f"the candidate did not pass {evidence.misses[Role.CANDIDATE]} health checks in a row"
    # without a share it cannot have failed now: what is left of an earlier ejection passes
    if evidence.ejected and position.split > 0:
        return "the gateway ejected the candidate after failures in a row"
    return None


def _silence(policy: Canary, evidence: Evidence) -> str | None:
    silent = [f"{source} for {s:.1f} s" for source, s in evidence.silent.items() if s >= policy.missing]
    return f"no metrics of {', of '.join(silent)}" if silent else None


def _failed(evidence: Evidence) -> str | None:
    failed = [alarm for alarm in evidence.alarms if alarm.finding == "fail"]
    return f"{failed[0].gate}: {failed[0].text}" if failed else None


def _after_pause(policy: Canary, position: Position, evidence: Evidence) -> Decision:
    rest = policy.pause - (evidence.at - position.since)
    if rest > 0:
        return Decision("hold", 0.0, f"paused after an alarm, {rest:.0f} s more")
    if evidence.ejected:
        return _hold(policy, position, evidence, _EJECTED)
    if evidence.arms and evidence.arms.problem:
        return _hold(policy, position, evidence, evidence.arms.problem)
    return Decision("step", policy.steps[0], "the pause is over: from the first step again")


def _in_shadow(policy: Canary, position: Position, evidence: Evidence) -> Decision:
    rest = policy.shadow - (evidence.at - position.since)
    alarms = [alarm for alarm in evidence.alarms if alarm.finding != "quiet"]
    if alarms:
        return _hold(
            policy, position, evidence, f"an alarm in the shadow, {alarms[0].gate}: {alarms[0].text}"
        )
    if evidence.answers < policy.answers:
        joined = f"{evidence.answers:.0f} of {policy.answers} answers joined in the shadow"
        return _hold(policy, position, evidence, joined)
    if rest > 0:
        return Decision("hold", 0.0, f"in the shadow for {rest:.0f} s more")
    open_ = [proof for proof in evidence.proofs if proof.in_shadow and proof.shown[0] < 1]
    if open_:
        least = min(open_, key=lambda proof: proof.shown[0])
        shown = f"{least.shown[0]:.0%} of the evidence for {least.gate} ({least.text})"
        return _hold(policy, position, evidence, f"in the shadow: {shown}")
    return Decision("step", policy.steps[0], "the shadow shows no harm")


def _missing(policy: Canary, position: Position, evidence: Evidence) -> str | None:
    """What the next move still waits for; None: nothing."""
    if position.split >= 100:
        rest = policy.settle - (evidence.at - position.since)
        if rest > 0:
            return f"all users have the candidate; it settles for {rest:.0f} s more"
        if evidence.answers < policy.answers:
            return f"all users have the candidate; {evidence.answers:.0f} of {policy.answers} answers"
        return _nobody(policy, evidence)
    if position.split == 0:
        if evidence.misses[Role.CANDIDATE]:
            return "the candidate is not ready"
        return _EJECTED if evidence.ejected else None
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
        return Decision("promote", 0.0, "every gate is met, and all users have had the candidate")
    step = _next(policy, position.split)
    if position.split == 0:
        why = "the candidate is ready"
        return Decision("shadow", 0.0, why) if policy.shadow else Decision("step", step, why)
    return Decision("step", step, f"enough is shown at {position.split:g}%")


def _next(policy: Canary, split: float) -> float:
    return next(step for step in policy.steps if step > split)
