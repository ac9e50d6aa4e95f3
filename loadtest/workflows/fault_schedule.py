"""An experiment's faults, injected into a lab at their times."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loadtest.experiment.experiment import Fault
from loadtest.lab.interface import Lab


class FaultSchedule:
    """Injects and heals as time goes on::

        schedule = FaultSchedule(experiment.faults, lab, progress.step)
        while ...:
            schedule.advance(seconds_since_the_load_began)

    The lab allows faults where the model server itself must misbehave.
    """

    def __init__(self, faults: Sequence[Fault], lab: Lab, say: Callable[[str], None]) -> None:
        self._due = sorted(faults, key=lambda fault: fault.at)
        self._active: list[Fault] = []
        self._lab = lab
        self._say = say

    def advance(self, elapsed: float) -> None:
        """Do what is due.

        ``elapsed`` is in seconds since the load began, and never less than before.

        Raises:
            LabError: a fault cannot be injected, or a version does not come back.
        """
        while self._due and self._due[0].at <= elapsed:
            fault = self._due.pop(0)
            self._lab.inject(fault.role, fault)
            self._active.append(fault)
            self._say(f"{fault.role} is {_words(fault)} on purpose, {elapsed:.1f} s after the load began")
        for fault in [f for f in self._active if f.lasts and f.at + f.lasts <= elapsed]:
            self._active.remove(fault)
            self._lab.heal(fault.role)
            self._say(f"{fault.role} is no longer {_words(fault)}")
            # healing ends them all; those that go on are injected again
            for other in self._active:
                if other.role == fault.role:
                    self._lab.inject(other.role, other)


def _words(fault: Fault) -> str:
    share = f" in {fault.share:.0%} of its answers" if fault.by_server and fault.share < 1 else ""
    return f"{fault.kind}{share}"
