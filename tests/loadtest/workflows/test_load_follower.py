"""Following a load generator that is injected: what is shown, when it is stopped, and what its end means."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.data.sample_lines import sample_line
from loadtest.errors import ExitCode, LabError, ServiceDied
from loadtest.judge.live_view import LiveView
from loadtest.judge.verdict import Word
from loadtest.workflows.load_follower import run_load
from tests.loadtest.judge.test_interim import LONG, until_decided
from tests.loadtest.judge.test_judge import Arm, Run

WRONG = replace(LONG, candidate=Arm(accuracy=0.7))


class FakeLoad:
    """Tells a second of a made-up run whenever the last one was shown."""

    def __init__(self, run: Run, code: int, shown: threading.Event) -> None:
        self.run, self.code, self.shown, self.stops, self.told = run, code, shown, 0, 0

    def lines(self) -> Iterator[str]:
        samples = self.run.samples()
        yield "a word from a library"
        for second in range(int(self.run.seconds)):
            if self.stops:
                return
            self.told = second + 1
            yield sample_line(samples.where(samples.done_at.astype(int) == second).to_bytes())
            yield json.dumps({"elapsed": second + 1.0})
            assert self.shown.wait(60)
            self.shown.clear()

    def stop(self) -> None:
        self.stops += 1
        self.shown.set()

    def wait(self) -> int:
        return self.code


class FakeLab:
    def __init__(
        self,
        run: Run,
        code: int = 0,
        dies_at: float | None = None,
        dies: str = "gateway",
        gone: tuple[str, ...] = (),
    ) -> None:
        self.dies, self.gone = dies, [dies, *gone]
        self.shown = threading.Event()
        self.load, self.dies_at, self.elapsed = FakeLoad(run, code, self.shown), dies_at, 0.0
        self.views: list[LiveView | None] = []

    def launch_load(self, job: Path) -> FakeLoad:
        return self.load

    def check(self) -> None:
        if self.dies_at is not None and self.elapsed >= self.dies_at:
            raise ServiceDied(f"{self.dies} ended with code 137", ["Killed"], self.dies)

    def ended(self) -> list[str]:
        return self.gone

    def step(self, text: str) -> None: ...

    def tick(self, event: dict[str, float], view: LiveView | None) -> None:
        self.elapsed = event["elapsed"]
        self.views.append(view)
        self.shown.set()


def follow(run: Run, lab: FakeLab, *, early: bool) -> str | None:
    return run_load(lab, Path(), until_decided(run) if early else run.experiment(), run.dataset(), lab)


def test_a_run_is_stopped_as_soon_as_it_is_decided_and_that_is_no_interruption():
    lab = FakeLab(WRONG, code=ExitCode.INTERRUPTED)
    follow(WRONG, lab, early=True)
    assert lab.load.stops >= 1
    decided = lab.views[-1]
    assert decided.decided
    assert decided.gates[-1].verdict is Word.FAIL
    # what it takes until every answer of an analysis has come, and no more
    assert decided.elapsed < lab.load.told < decided.elapsed + 6


def test_any_other_run_lasts_as_long_as_was_asked_for_and_shows_its_gates():
    run = replace(WRONG, seconds=40.0, arrivals=2_000)
    lab = FakeLab(run)
    follow(run, lab, early=False)
    assert lab.load.told == 40
    assert lab.views[0] is None
    assert [view.elapsed for view in lab.views[-3:]] == [35.0, 36.0, 37.0]


@pytest.mark.parametrize(
    ("early", "code", "says"),
    [
        # ended by somebody else
        (False, ExitCode.INTERRUPTED, "ended with code 130"),
        (True, ExitCode.LAB, "ended with code 5"),
    ],
)
def test_a_generator_that_broke_is_an_error(early, code, says):
    run = replace(LONG, seconds=10.0, arrivals=500)
    with pytest.raises(LabError, match=says):
        follow(run, FakeLab(run, code=code), early=early)


def test_a_candidate_that_dies_ends_the_load_and_is_no_trouble_of_the_lab():
    lab = FakeLab(LONG, code=ExitCode.INTERRUPTED, dies_at=5.0, dies="candidate")
    assert follow(LONG, lab, early=False) == "candidate ended with code 137"
    assert lab.load.stops >= 1
    assert lab.load.told <= 6


@pytest.mark.parametrize(
    ("dies_at", "dies", "gone"),
    [
        (5.0, "gateway", ()),
        (5.0, "stable", ()),
        # both: the machine, or the load
        (5.0, "candidate", ("stable",)),
        # before anything was measured
        (0.0, "candidate", ()),
    ],
)
def test_when_the_lab_breaks_the_load_is_stopped(dies_at, dies, gone):
    lab = FakeLab(LONG, dies_at=dies_at, dies=dies, gone=gone)
    with pytest.raises(ServiceDied, match=f"{dies} ended"):
        follow(LONG, lab, early=False)
    assert lab.load.stops >= 1
    assert lab.load.told <= 6
