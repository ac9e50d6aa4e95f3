"""The canary by itself: look once a second, decide, and put the decision into the lab's state.

All of the thinking is in ``loadtest.canary``; this loop only carries it out::

    end = control(experiment, store, endpoints, outputs)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from loadtest.canary.counters import Meter
from loadtest.canary.counts import Scrape
from loadtest.canary.decision import Position, decide
from loadtest.canary.event import BY, Event
from loadtest.canary.live_evidence import Evidence, Watch
from loadtest.canary.live_gates import shadow_gates, told_along
from loadtest.canary.shadow_join import Join
from loadtest.canary.split_check import ArmsPage, SplitCheck, TrueShares
from loadtest.canary.state import State, Store
from loadtest.errors import ExitCode, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.lab.gateway.routes import Routes
from loadtest.lab.gateway.signature import sign
from loadtest.lab.interface import Endpoints
from loadtest.lab.services.arm_pages import ArmsReader
from loadtest.lab.services.scrape import Pages, Scraper
from loadtest.lab.services.shadow_answers import ShadowReader

EVERY = 1.0
"""Seconds between two scrapes."""

_EQUAL = 50.0
"""As at this split, both versions have as much to do in the shadow: either may be called slow, or fast."""


class Output(Protocol):
    """Where events go: a terminal, metrics, Grafana."""

    def show(self, event: Event) -> None:
        """Take one event; never raises and never waits for anybody."""


class End(NamedTuple):
    """How it ended: the exit code and the last line."""

    code: ExitCode
    why: str


@dataclass
class Controller:
    """The controller of one canary.

    Args:
        read_answers: puts what is new of both versions' answers into a join, for the shadow.
        read_arms: what both servers newly tell of the split's arms; none of them: the split is not checked.
        check: called at every scrape; raises when the lab broke in a way that is no finding on the candidate.
    """

    experiment: Experiment
    store: Store
    scrape: Callable[[], Pages]
    meter: Meter
    outputs: Sequence[Output]
    read_answers: Callable[[Join], None] = lambda _: None
    read_arms: Callable[[], Mapping[Role, ArmsPage | None]] = dict
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    check: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._policy = self.experiment.canary
        self._watch, self._join = Watch(self.experiment), Join()
        self._split = SplitCheck()

    def run(self) -> End:
        """Go on until the candidate is promoted, rolled back, or left where it is.

        Raises:
            LabError: the gateway did not apply a decision, or ``check`` says that the lab broke.
        """
        began = self.clock()
        state = self.store.read()
        position = resume(state)
        if not self._policy.shadow:
            position = position._replace(shadow=False)
        _check_shadow_passed(self.experiment, state, position)
        state = self._with_fallback(state, position)
        self._enter(position, state)
        for at in self._ticks(began):
            self.check()
            evidence = self._known(self.meter.read(at, *self.scrape()), position)
            decision = decide(self._policy, position, evidence)
            event = Event(at, decision, position, evidence)
            after = self.store.read() if decision.verb == "hold" else self._carry_out(event, state)
            last = after.now
            if last.serial != state.now.serial and last.note.by != BY:
                return End(
                    ExitCode.INCONCLUSIVE, f"{last.note.by} took over ({last.action}): {last.note.why}"
                )
            state = after
            for output in self.outputs:
                output.show(event)
            if decision.verb in _ENDS:
                code = _ENDS[decision.verb] if decision.harm else ExitCode.INCONCLUSIVE
                return End(code, decision.why)
            if decision.verb != "hold":
                before, resting = position, decision.verb == "pause"
                shadow = decision.verb == "shadow"
                position = Position(decision.split, at, before.alarms + resting, resting, shadow)
                self._enter(position, state, before)
        raise AssertionError("ticks never end by themselves")

    def _with_fallback(self, state: State, position: Position) -> State:
        """A split that was set otherwise than ``[canary] fallback`` says is set once more."""
        wanted = self._policy.fallback
        if not position.split or state.now.fallback == wanted:
            return state
        note = sign(f"[canary] fallback = {str(wanted).lower()}", BY)
        return self.store.update(
            # what a person did in the meantime stands
            lambda now: now.set(position.split, note, fallback=wanted) if now == state else now
        )

    def _enter(self, position: Position, state: State, before: Position | None = None) -> None:
        """A step begins. The shadow's evidence is of servers, not of users: it stands by itself."""
        if position.shadow or (before and before.shadow):
            self._watch = Watch(self.experiment)
            self._join = Join(state.since.timestamp())
        # the gateway marks requests with the serial of the last entry of all, one that only held included
        self._split.enter(state.now.serial, position.split)
        again = position.paused or bool(before and before.paused)
        split = _EQUAL if position.shadow else position.split
        self._watch.enter(position.since, split, again=again, shadow=position.shadow)

    def _known(self, scrape: Scrape, position: Position) -> Evidence:
        if not position.shadow:
            arms = self._arms({role: counts.requests for role, counts in scrape.counts.items()})
            self._watch.add(scrape._replace(users=arms.spread, failed=arms.failed) if arms else scrape)
            return replace(self._watch.evidence(), arms=arms)
        self.read_answers(self._join)
        counts, pairs = self._join.take(scrape.edges), self._join.take_pairs()
        self._watch.add(scrape._replace(counts=counts, pairs=pairs))
        return replace(self._watch.evidence(), shadow=self._join.summary())

    def _arms(self, asked: Mapping[Role, float]) -> TrueShares | None:
        pages = self.read_arms()
        self._split.add(pages, asked)
        return self._split.summary() if any(pages.values()) else None

    def _ticks(self, began: float) -> Iterator[float]:
        due = began
        while True:
            due += EVERY
            now = self.clock()
            if now < due:
                self.sleep(due - now)
            elif now > due + EVERY:
                due = now  # what was missed is not made up for
            yield self.clock() - began

    def _carry_out(self, event: Event, known: State) -> State:
        decision = event.decision
        note = sign(decision.why, BY, event.to_json())

        def change(state: State) -> State:
            if state.now.serial != known.now.serial:
                return state  # what a person did in the meantime stands
            match decision.verb:
                case "rollback":
                    return state.rollback(note) if state.can_roll_back else state.hold(note)
                case "promote":
                    return state.promote(note)
                case "stay":
                    return state.hold(note)
                case "shadow":
                    return state.shadow(note)
            return state.set(decision.split, note, fallback=self._policy.fallback)

        return self.store.update(change)


def control(
    experiment: Experiment,
    store: Store,
    endpoints: Endpoints,
    outputs: Sequence[Output],
    check: Callable[[], None] = lambda: None,
) -> End:
    """Lead a running lab's canary to its end, seen through those who play the roles now.

    Raises:
        ControllerError: another controller leads it.
        UsageError: the candidate has users already, and a gate is shown in the shadow only; or a version does
            not have what a gate compares there.
        LabError: the lab broke, does not show its gateway's counters, or cannot have the shadow asked for.
    """
    state, policy = store.read(), experiment.canary
    meter = Meter(Routes.of(state).clusters)
    answers = shadow_reader(experiment, state, endpoints)
    scraper = Scraper(endpoints, state.services, policy.timeout)
    try:
        with store.lead(BY):
            return Controller(
                experiment,
                store,
                scraper,
                meter,
                outputs,
                read_answers=answers.read_into,
                read_arms=ArmsReader(state, endpoints, policy.timeout).read,
                check=check,
            ).run()
    finally:
        scraper.close()


def shadow_reader(experiment: Experiment, state: State, endpoints: Endpoints) -> ShadowReader:
    """A reader of both versions' answers; where there is to be a shadow, each server was asked once.

    Raises:
        GateError: a version does not have what a gate compares.
        LabError: a server keeps no answers.
    """
    answers = ShadowReader(state, endpoints, experiment.canary.timeout, told_along(experiment))
    if experiment.canary.shadow:
        answers.read_into(Join())
    return answers


def _check_shadow_passed(experiment: Experiment, state: State, position: Position) -> None:
    """Refuse to go on where a gate of the shadow was never shown: later there is nothing to show it by."""
    gates = {str(gate) for gate in shadow_gates(experiment)}
    if not gates or position.shadow or not (position.split or position.paused):
        return
    for entry in reversed(state.history):
        seen = entry.note.evidence
        if entry.action not in ("set", "hold", "shadow"):
            break
        if entry.note.by == BY and seen.get("decision") == "step" and "shadow" in seen:
            if gates <= {*seen["alarms"], *seen["proofs"]}:
                return
            break
    raise UsageError(
        f"the candidate has {position.split:g}% of the users already, and only the shadow before them "
        f"can show {sorted(gates)[0]!r}; roll it back (loadproof canary rollback) and start again"
    )


_ENDS = {"promote": ExitCode.PASS, "rollback": ExitCode.FAIL, "stay": ExitCode.INCONCLUSIVE}


def resume(state: State) -> Position:
    """Where a controller that comes back finds the candidate: its split, and how often it was paused.

    Evidence starts again: a step that was under way is done once more.
    """
    alarms, paused, shadow = 0, False, state.now.mode == "shadow"
    for entry in reversed(state.history):
        if entry.action not in ("set", "hold"):
            break
        pause = entry.note.evidence.get("decision") == "pause"
        paused |= pause and entry is state.history[-1]
        alarms += pause
    return Position(state.now.percent, 0.0, alarms, paused, shadow)
