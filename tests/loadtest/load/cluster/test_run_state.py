import pytest

from loadtest.experiment.experiment import Experiment
from loadtest.load.cluster.messages import Report
from loadtest.load.cluster.run_state import GRACE, RunInProgress

EXPERIMENT = Experiment.parse(
    {
        "name": "e",
        "model": {"name": "m", "folder": "m"},
        "data": {"path": "e.csv"},
        "load": {"rate": 10, "duration": 60, "warmup": 5},
        "gates": ["error_rate <= 1%"],
    },
    source="test",
)


class Clocks:
    """A clock that only goes on, and the wall clock of a machine that sets it while it runs."""

    def __init__(self):
        self.monotonic, self.wall = 500.0, 1e9

    def pass_(self, seconds, step=0.0):
        self.monotonic += seconds
        self.wall += seconds + step


@pytest.mark.parametrize("step", [0.0, 60.0, -60.0, 3600.0])
def test_a_wall_clock_that_steps_ends_no_run(step):
    clocks = Clocks()
    run = RunInProgress(EXPERIMENT, ["w_0"], "ab12", clock=lambda: clocks.monotonic, wall=lambda: clocks.wall)
    assert run.elapsed == -5
    assert run.begin(5.5) == 1e9 + 5.5
    clocks.pass_(35.5, step)
    assert run.elapsed == pytest.approx(30)
    assert run.measured_seconds == pytest.approx(30)
    run.give_up_late_workers()
    assert not run.sent.is_set()
    clocks.pass_(30)
    run.reports.accept(Report(run.name, 0, 0, "finished", planned=600, scheduled=600, sent=600))
    run.give_up_late_workers()
    assert run.sent.is_set()
    summary = run.summary(run.totals())
    # time zero is said as it was when the run began
    assert (summary.began_at, summary.missing_workers) == (1e9 + 5.5, [])
    assert summary.duration_s == 60
    assert summary.evaluation_sha256 == "ab12"


def test_a_worker_that_does_not_end_is_given_up():
    clocks = Clocks()
    run = RunInProgress(EXPERIMENT, ["w_0"], "", clock=lambda: clocks.monotonic, wall=lambda: clocks.wall)
    run.begin(0.5)
    clocks.pass_(0.5 + 60 + EXPERIMENT.load.timeout + GRACE + 1)
    run.give_up_late_workers()
    assert run.reports.shares[0].missing == "it did not finish in time"


def test_a_clock_that_is_off_is_shown():
    run = RunInProgress(EXPERIMENT, ["w_0", "w_1"], "")
    run.begin(0.5)
    run.reports.accept(Report(run.name, 0, 0, "running", clock_skew=11.25))
    assert run.summary(run.totals()).to_json()["clock_skew_s"] == [11.25, None]
