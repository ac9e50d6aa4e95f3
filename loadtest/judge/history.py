"""What a list of runs says of each: read from files that any release may have written.

Laxer than ``loadtest.judge.verdict`` on purpose: a gate that no longer parses, or a key that is new, keeps no
run out of the history.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from loadtest.judge.verdict import Word


class ListedGate(BaseModel):
    """One gate of a stored verdict; see ``GateResult``. ``where``: at which rate or CPU limit."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    name: str
    verdict: Word
    estimate: float | None
    interval: tuple[float | None, float | None]
    margin: float
    unit: str
    reason: str = ""
    where: str = ""

    @property
    def title(self) -> str:
        """The gate, with the rate or the limit that it holds for."""
        return f"{self.name} {self.where}".strip()

    @property
    def is_difference(self) -> bool:
        """Whether it is about candidate minus stable (else about the candidate alone)."""
        return re.search(r"[<>=]= *stable", self.name) is not None

    @property
    def higher_is_better(self) -> bool:
        """Whether harm is a fall."""
        return ">=" in self.name

    @property
    def series(self) -> tuple[str, str, bool, str]:
        """What it is about, without its bound: gates of one series can be held side by side."""
        about = re.sub(r" *[<>=]=[^<>=\]]*$", "", self.name)
        return about, self.unit, self.is_difference, self.where

    @property
    def slack(self) -> float:
        """How far the worse end of the interval is from the limit, as a share of both; negative: beyond."""
        low, high = self.interval
        worse = low if self.higher_is_better else high
        if worse is None:
            return float("-inf")
        room = worse - self.margin if self.higher_is_better else self.margin - worse
        return room / ((abs(self.margin) + abs(worse)) or 1.0)


class ListedRun(BaseModel):
    """One folder of ``results/``.

    Args:
        state: ``whole``; ``unfinished``: it runs, or was cut off a moment ago; ``cut off``; ``unreadable``.
        kind: what was run; None: not known.
        began: when, UTC.
        model: the name of the model, as two experiments of one name may be about two.
        verdict: None where there is none.
        reason: of the verdict; of an unreadable folder, what is wrong with it.
        duration_s: seconds of load.
        report: path of its page, relative to the results.
        size_bytes: of all its files.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    state: Literal["whole", "unfinished", "cut off", "unreadable"]
    began: datetime
    size_bytes: int
    kind: Literal["compare", "rates", "capacity", "canary"] | None = None
    experiment: str | None = None
    model: str | None = None
    stable: str | None = None
    candidate: str | None = None
    verdict: Word | None = None
    reason: str = ""
    duration_s: float | None = None
    gates: tuple[ListedGate, ...] = ()
    report: str | None = None

    @property
    def decisive(self) -> tuple[ListedGate, ...]:
        """The gates that made the verdict; of a PASS, the one that is nearest to its limit."""
        if self.verdict is Word.PASS:
            # a count, such as mismatches, has no interval that could come near
            near = [gate for gate in self.gates if gate.interval[0] != gate.interval[1]]
            return tuple(sorted(near or self.gates, key=lambda gate: gate.slack)[:1])
        return tuple(gate for gate in self.gates if gate.verdict is self.verdict)


def beyond_size(runs: list[ListedRun], size: int) -> list[ListedRun]:
    """The oldest of runs, as many as must go for the rest to take ``size`` bytes or less."""
    left = sum(run.size_bytes for run in runs)
    gone = []
    for run in sorted(runs, key=lambda run: run.began):
        if left <= size:
            break
        gone.append(run)
        left -= run.size_bytes
    return gone
