"""Evidence: what all scrapes so far say, gate by gate.

::

    watch = Watch(experiment)
    watch.enter(at=0.0, split=1)
    watch.add(scrape)            # once a second
    watch.evidence()             # a frozen snapshot, for ``decision.decide``
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from loadtest.canary.agreement_tests import AgreementTest
from loadtest.canary.counts import Scrape
from loadtest.canary.latency_tests import LatencyTest
from loadtest.canary.shadow_summary import Shadow
from loadtest.canary.share_tests import ShareAlarm, ShareProof
from loadtest.canary.split_check import TrueShares
from loadtest.canary.user_spread import Spread
from loadtest.experiment.experiment import Canary, Experiment
from loadtest.experiment.role import ROLES, Role
from loadtest.stats.sequential import FIRST_WINDOW

ANSWERS, FEEDBACK = "answers", "feedback"
FAR, MANY = 2.0, 0.01
"""How many times apart a quantile with and without the groups of users that are left out is shown twice; from
which share of an arm's requests on it is shown that they are left out for their size."""

Finding = Literal["quiet", "alarm", "fail"]


class Alarm(NamedTuple):
    """What is known against the candidate under one rollback gate.

    Args:
        gate: its expression.
        finding: nothing; an alarm, which one equal candidate in twenty gives too; or proof.
        evidence: by the evidence that an alarm needs; None where it is not counted so (latency).
        text: both versions' values, for people.
    """

    gate: str
    finding: Finding
    evidence: float | None
    text: str


class Proof(NamedTuple):
    """What is known for the candidate under one promotion gate.

    Args:
        gate: its expression.
        shown: per step, in order, the share of the evidence that going there needs; 1: enough.
        text: both versions' values, for people.
        in_shadow: it is shown in the shadow, or never.
    """

    gate: str
    shown: tuple[float, ...]
    text: str
    in_shadow: bool = False


class Interval(NamedTuple):
    """How much worse the candidate is than stable, as far as one gate can tell: for people, the bets decide.

    Args:
        gate: its expression.
        low: lower end, as a share of 1: of requests that failed, of answers that were wrong, or of requests
            beyond the gate's latency, more than stable's (of an absolute bound: than the quantile allows);
            of the agreement, of users to whom the versions answer differently.
        high: upper end. Both hold at all analyses together.
        margin: what the gate allows.
    """

    gate: str
    low: float
    high: float
    margin: float


@dataclass(frozen=True)
class Evidence:
    """Everything known at one moment.

    Args:
        at: seconds on the controller's clock.
        answers: requests that the candidate ended since the step began.
        alarms: one per rollback gate.
        proofs: one per promotion gate.
        misses: health checks in a row that each role did not pass.
        ejected: the gateway took the candidate out.
        silent: seconds since each source last gave its metrics.
        shadow: both versions' answers to the same requests, while the candidate is in the shadow.
        intervals: one per gate of which enough is known.
        idle: seconds of this step since the candidate last got ``ANSWERS`` and, where a gate needs it,
            ``FEEDBACK``.
        arms: what the arms of the split truly got; None where there is no split, or no server tells.
    """

    at: float
    answers: float
    alarms: tuple[Alarm, ...]
    proofs: tuple[Proof, ...]
    misses: dict[Role, int]
    ejected: bool
    silent: dict[str, float]
    shadow: Shadow | None = None
    intervals: tuple[Interval, ...] = ()
    idle: Mapping[str, float] = field(default_factory=dict)
    arms: TrueShares | None = None


class Watch:
    """Adds scrapes up to evidence; knows no clock but their own."""

    def __init__(self, experiment: Experiment) -> None:
        policy = experiment.canary
        alpha = 1 - experiment.confidence
        each = alpha / len(policy.rollback)  # one failure over all gates is final
        self._policy, self._alpha = policy, alpha
        self._spread = Spread()
        rollback, gates = (
            [gate for gate in of if not gate.entry.compares_versions]
            for of in (policy.rollback, experiment.gates)
        )
        self._alarms = [
            ShareAlarm(gate, self._spread, alpha, each, policy.window)
            if gate.quantile is None
            else LatencyTest(gate, each, policy.window, self._spread)
            for gate in rollback
        ]
        # every gate must be shown: no correction (Berger 1982)
        self._proofs = [
            ShareProof(gate, self._spread, policy.steps, alpha)
            if gate.quantile is None
            else LatencyTest(gate, alpha, policy.window, self._spread)
            for gate in gates
        ]
        # in force during the shadow only
        self._in_shadow = tuple(
            [
                AgreementTest(gate, alpha, each, experiment.data.task)
                for gate in of
                if gate.entry.compares_versions
            ]
            for of in (policy.rollback, experiment.gates)
        )
        self._differ: list[AgreementTest] = []
        self._agree: list[AgreementTest] = []
        self._at = self._split = 0.0
        self._asked = dict.fromkeys(ROLES, 0.0)
        self._began: float | None = None
        self._misses = dict.fromkeys(ROLES, 0)
        self._ejected = False
        self._heard: dict[str, float] = {}
        self._follows_feedback = any(
            gate.entry.live == "answers"
            for gate in (*experiment.gates, *policy.rollback)
            if not gate.quantile
        )
        self._came: dict[str, float] = {}

    def enter(self, at: float, split: float, *, again: bool = False, shadow: bool = False) -> None:
        """A step begins; ``again``: after an alarm, so the bets that made it start again."""
        self._differ, self._agree = self._in_shadow if shadow else ([], [])
        self._at, self._split, self._asked = at, split, dict.fromkeys(ROLES, 0.0)
        self._began = at if self._began is None else self._began
        self._came = dict.fromkeys([ANSWERS, FEEDBACK] if self._follows_feedback else [ANSWERS], at)
        for source in ("gateway", *ROLES):
            self._heard.setdefault(source, at)
        for gate in (*self._alarms, *self._proofs):
            if isinstance(gate, LatencyTest):
                gate.enter()
            elif again and isinstance(gate, ShareAlarm):
                gate.again()

    def add(self, scrape: Scrape) -> None:
        """Take in one scrape."""
        self._at = scrape.at
        candidate = scrape.counts[Role.CANDIDATE]
        for role in ROLES:
            self._asked[role] += scrape.counts[role].requests
        self._spread.add(scrape.users, self._asked, scrape.failed)
        for what, count in ((ANSWERS, candidate.requests), (FEEDBACK, candidate.judged)):
            if count and what in self._came:
                self._came[what] = scrape.at
        for role in ROLES:
            self._misses[role] = 0 if scrape.ready[role] else self._misses[role] + 1
        self._ejected = scrape.ejected
        for source in {"gateway", *ROLES} - scrape.missing:
            self._heard[source] = scrape.at
        for test in (*self._differ, *self._agree):
            test.add(scrape.pairs)
        for gate in (*self._alarms, *self._proofs):
            if isinstance(gate, LatencyTest):
                gate.add(scrape.at, scrape.counts, self._split, scrape.edges)
            else:
                gate.add(scrape.at, scrape.counts, self._split)

    def evidence(self) -> Evidence:
        """What is known now."""
        return Evidence(
            at=self._at,
            answers=self._asked[Role.CANDIDATE],
            alarms=tuple(_alarm(gate) for gate in (*self._alarms, *self._differ)),
            proofs=tuple(_proof(gate, self._policy) for gate in (*self._proofs, *self._agree)),
            misses=dict(self._misses),
            ejected=self._ejected,
            silent={source: self._at - heard for source, heard in self._heard.items()},
            intervals=tuple(self._intervals()),
            idle={what: self._at - came for what, came in self._came.items()},
        )

    def _intervals(self) -> Iterator[Interval]:
        seconds = self._at - (self._at if self._began is None else self._began)
        for gates, slow in ((self._alarms, True), (self._proofs, False)):
            for gate in gates:
                if isinstance(gate, LatencyTest):
                    ends, margin = gate.interval(slow=slow), 0.0
                else:
                    ends, margin = gate.tally.interval(seconds, self._alpha), gate.gate.bound
                if ends is not None:
                    yield Interval(str(gate.gate), *ends, margin)
        for test in (*self._differ, *self._agree):
            if (ends := test.interval) is not None:
                yield Interval(str(test.gate), *ends, 1 - test.least)


def _alarm(gate: ShareAlarm | LatencyTest | AgreementTest) -> Alarm:
    if isinstance(gate, LatencyTest):
        return Alarm(str(gate.gate), "fail" if gate.failed else "quiet", None, _tail_text(gate))
    finding: Finding = "fail" if gate.failed else "alarm" if gate.alarmed else "quiet"
    text = gate.text if isinstance(gate, AgreementTest) else _share_text(gate)
    return Alarm(str(gate.gate), finding, gate.evidence, text)


def _proof(gate: ShareProof | LatencyTest | AgreementTest, policy: Canary) -> Proof:
    if isinstance(gate, AgreementTest):
        return Proof(str(gate.gate), (gate.shown,) * len(policy.steps), gate.text, in_shadow=True)
    if isinstance(gate, LatencyTest):
        # latency at a small split says nothing about latency at a large one
        shown = tuple(1.0 if step < 100 or gate.shown else 0.0 for step in policy.steps)
        return Proof(str(gate.gate), shown, _tail_text(gate))
    return Proof(str(gate.gate), tuple(gate.shown(step) for step in policy.steps), _share_text(gate))


def _share_text(gate: ShareAlarm | ShareProof) -> str:
    what = "errors" if gate.gate.entry.live == "errors" else "wrong"
    parts = []
    for role in ROLES:
        share, trials = gate.tally.share(role), gate.tally.trials[role]
        parts.append(f"{role} {'-' if share is None else f'{share:.2%}'} of {trials:,.0f}")
    return f"{what}: {', '.join(parts)}"


def _tail_text(gate: LatencyTest) -> str:
    shown = ", ".join(f"{role} {_tail(gate, role)}" for role in ROLES)
    more = f", {gate.windows} of {FIRST_WINDOW} windows" if gate.windows < FIRST_WINDOW else ""
    return f"{gate.gate.metric}: {shown}{more}"


def _tail(gate: LatencyTest, role: Role) -> str:
    value, whole = gate.value(role), gate.value(role, whole=True)
    if value is None or whole is None:
        return "-"
    notes = [] if value / FAR <= whole <= value * FAR else [f"{whole * 1000:.0f} ms with those left out"]
    if (out := gate.left_out(role)) >= MANY:
        notes.append(f"{out:.0%} left out for sizes that the other arm gets fewer of")
    return f"{value * 1000:.0f} ms" + (f" ({'; '.join(notes)})" if notes else "")
