import pyarrow as pa
import pytest

from loadtest.errors import ExitCode
from loadtest.load.cluster.messages import Report
from loadtest.load.cluster.worker_reports import SILENT_TICKS, WorkerReports
from tests.loadtest.made_samples import Sample, sample_set

SAMPLE = Sample(0, "stable", 0.0, 0.0, 0.1, 200, None, "1", True, None, 0)


def report(worker, number, state, samples=0, recorded=0, **more):
    # a worker asks nothing twice at one moment
    asked = [SAMPLE._replace(row=row, worker=worker) for row in range(samples)]
    content = sample_set(asked).to_bytes() if samples else b""
    return Report("run", worker, number, state, content, recorded, **more)


def test_reports_of_all_workers_come_together():
    reports = WorkerReports("run", ["a", "b"])
    assert not reports.ready
    for worker in (0, 1):
        reports.accept(report(worker, 0, "ready"))
    assert reports.ready
    assert not reports.over
    reports.accept(report(0, 1, "running", 3, 3))
    reports.accept(report(1, 1, "finished", 2, 2))
    reports.accept(report(0, 2, "finished", 1, 4))
    assert reports.over
    assert sum(share.received for share in reports.shares) == 6
    assert [share.lost for share in reports.shares] == [0, 0]


@pytest.mark.parametrize(
    ("sent", "received", "lost", "gap"),
    [
        ([report(0, 0, "ready"), report(0, 1, "finished", 3, 3)], 3, 0, False),
        # the report with two samples never came
        ([report(0, 0, "ready"), report(0, 2, "finished", 3, 5)], 3, 2, True),
        # it came twice
        ([report(0, 0, "running", 2, 2), report(0, 0, "running", 2, 2)], 2, 0, False),
        # a report without samples was lost: nothing is missing, yet it shows
        ([report(0, 0, "running", 2, 2), report(0, 2, "finished", 0, 2)], 2, 0, True),
    ],
)
def test_what_is_lost_is_known(sent, received, lost, gap):
    reports = WorkerReports("run", ["a"])
    for each in sent:
        reports.accept(each)
    (share,) = reports.shares
    assert (share.received, share.lost, share.gap) == (received, lost, gap)


def test_reports_of_another_run_are_ignored():
    reports = WorkerReports("run", ["a"])
    assert reports.accept(report(0, 0, "finished", 2, 2)._replace(run="before")) is None
    assert not reports.over
    assert sum(share.received for share in reports.shares) == 0


def test_unreadable_samples_are_an_error():
    with pytest.raises(ValueError, match="worker 0 cannot be read"):
        WorkerReports("run", ["a"]).accept(report(0, 0, "running")._replace(samples=b"not arrow"))


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        # another worker's, a row and a role that cannot be, other columns
        (sample_set([SAMPLE._replace(worker=1)]), "of worker 1"),
        (sample_set([SAMPLE._replace(row=-1)]), "no row -1"),
        (sample_set([SAMPLE._replace(done_at=float("inf"))]), "done_at is inf"),
        (sample_set([SAMPLE, SAMPLE]), "samples 0 and 1"),
    ],
)
def test_samples_that_cannot_be_are_an_error(samples, reason):
    told = report(0, 0, "running")._replace(samples=samples.to_bytes())
    with pytest.raises(ValueError, match=f"worker 0 cannot be: .*{reason}"):
        WorkerReports("run", ["a"]).accept(told)


def test_samples_of_other_columns_are_an_error():
    sink = pa.BufferOutputStream()
    table = pa.table({"row": [1]})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    told = report(0, 0, "running")._replace(samples=bytes(sink.getvalue()))
    with pytest.raises(ValueError, match="columns are not those of this version"):
        WorkerReports("run", ["a"]).accept(told)


def test_a_worker_speaks_for_itself_alone():
    reports = WorkerReports("run", ["a", "b"])
    assert reports.is_of("a", 0)
    assert reports.is_of("local", 0)
    assert not reports.is_of("b", 0)
    assert not reports.is_of("a", 7)
    assert reports.accept(report(7, 0, "finished")) is None


def test_a_silent_worker_is_given_up_and_what_it_reported_kept():
    reports = WorkerReports("run", ["a", "b"])
    for worker in (0, 1):
        reports.accept(report(worker, 0, "running", 2, 2))
    for number in range(1, SILENT_TICKS + 2):
        reports.tick()
        reports.accept(report(0, number, "running"))
    alive, silent = reports.shares
    assert alive.missing is None
    assert silent.missing == "no report for 5.5 s"
    assert sum(share.received for share in reports.shares) == 4


def test_a_worker_may_prepare_for_long():
    reports = WorkerReports("run", ["a"])
    for _ in range(SILENT_TICKS * 5):
        reports.tick()
    assert reports.shares[0].missing is None


def test_the_first_problem_is_told():
    reports = WorkerReports("run", ["a", "b"])
    reports.accept(report(1, 0, "finished", problem="disk full", code=ExitCode.LAB))
    assert reports.problem == ("worker 1: disk full", ExitCode.LAB)


@pytest.mark.parametrize(
    ("states", "settled", "elapsed"),
    [
        # one waits for an answer since 2 s, of the other everything is here up to its next arrival
        ([{"elapsed": 3.0, "settled": 2.0}, {"elapsed": 3.1, "settled": 3.2}], 2.0, 3.1),
        # one has nothing left to send or to wait for
        ([{"elapsed": 3.0, "settled": 2.5}, {"elapsed": 3.1}], 2.5, 3.1),
        # one does not send yet
        ([{"elapsed": 3.0, "settled": 2.5}, {}], 0.0, 3.0),
        ([{}, {}], 0.0, None),
    ],
)
def test_up_to_where_every_sample_is_here(states, settled, elapsed):
    reports = WorkerReports("run", ["a", "b"])
    for worker, state in enumerate(states):
        reports.accept(report(worker, 0, "running", **state))
    assert (reports.settled, reports.elapsed) == (settled, elapsed)


def test_a_worker_that_is_given_up_holds_back_nothing():
    reports = WorkerReports("run", ["a", "b"])
    reports.accept(report(0, 0, "running", elapsed=3.0, settled=2.5))
    reports.accept(report(1, 0, "running", elapsed=1.0, settled=0.5))
    reports.shares[1].missing = "no report for 5 s"
    assert reports.settled == 2.5
    reports.accept(report(0, 1, "finished", elapsed=4.0))
    assert reports.settled == float("inf")


def test_a_worker_that_is_ready_waits_for_the_others_without_a_word():
    reports = WorkerReports("run", ["a", "b"])
    reports.accept(report(0, 0, "ready"))
    reports.accept(report(1, 0, "preparing"))
    for _ in range(3 * SILENT_TICKS):
        reports.tick(began=False)
    assert [share.missing for share in reports.shares] == [None, None]
    # told to begin, it has as long as any other that sends
    reports.accept(report(1, 1, "ready"))
    for _ in range(SILENT_TICKS):
        reports.tick()
    assert reports.shares[0].missing is None
    reports.tick()
    assert reports.shares[0].missing == "no report for 5.5 s"
