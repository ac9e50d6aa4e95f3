"""The load generator against a server that keeps a record of its own, as real processes.

How precise its clock is on a quiet machine is measured by ``python -m benchmarks.load.known_delays``.
"""

import json
import signal
import subprocess
import sys

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest

from benchmarks.load.run import launch
from loadtest.data.recorded import Recorded, with_arrivals
from loadtest.data.sample_lines import read_line
from loadtest.data.samples import SampleSet
from loadtest.errors import ExitCode
from loadtest.experiment.experiment import Experiment, Load
from loadtest.judge.run import LoadFacts
from loadtest.judge.traces import Traces
from loadtest.load.sending.arrivals import draw

pytestmark = pytest.mark.integration


def finish(process, job):
    """Run to the end: exit code, progress events, samples and load.json."""
    events = [json.loads(line) for line in process.lines()]
    return end(process, job, events)


def end(process, job, events):
    code = process.wait()
    return code, events, SampleSet.read(job / "samples.parquet"), json.loads((job / "load.json").read_text())


def load(job, server, workers=1):
    return finish(launch(job, server.url, workers), job)


def counted(samples, facts):
    """Requests per version as the generator tells them."""
    return {
        v: len(samples.of(v))
        + facts["warmup_requests"][v]
        + facts["baseline"].get(v, {}).get("requests", 0)
        + facts["first_rows"].get(v, 0)
        for v in ("stable", "candidate")
    }


def seen(server):
    return {version: server.seen()[version] for version in ("stable", "candidate")}


def shares(folder, workers):
    """What each worker draws from the experiment in a job folder."""
    load = Experiment.load_file(str(folder / "experiment.toml")).load
    return [draw(load, 5000, worker, workers) for worker in range(workers)]


@pytest.mark.parametrize("workers", [1, 3])
def test_no_sample_is_lost(double, job, workers):
    folder = job(rate=150, trace=True)
    with double(delays=[0.005, 0.02, 0.1]) as server:
        code, events, samples, facts = load(folder, server, workers)
        assert code == ExitCode.PASS, facts["reason"]
        assert counted(samples, facts) == seen(server)
        carried = server.seen()["traces"]
    assert facts["requests"] == {v: len(samples.of(v)) for v in ("stable", "candidate")}
    assert set(samples.table["worker"].to_pylist()) == set(range(workers))
    assert not samples.failed.any()
    assert samples.correct.all()
    assert not samples.mismatch.any()
    reach = facts["baseline"]["candidate"]
    assert 0 < reach["answered"] == reach["asked"]
    assert events[-1]["done"] == len(samples)
    # what was sent is what was drawn, each row to both versions at the same intended instant
    drawn = shares(folder, workers)
    planned = sorted(
        (at, row) for s in drawn for at, row in zip(s.scheduled_at, s.row, strict=True) if at >= 0
    )
    for version in ("stable", "candidate"):
        assert facts["warmup_requests"][version] == sum(int((s.scheduled_at < 0).sum()) for s in drawn) > 0
        part = samples.of(version)
        assert sorted(zip(part.scheduled_at, part.row, strict=True)) == planned
    # the trace contexts that came are those that the samples say
    traces = Traces.of(Load(trace=True), LoadFacts(**facts), samples)
    roles = samples.table["role"].to_pylist()
    said = {
        (int(row), role, "00-{}-{}-01".format(*traces.ids(place)))
        for place, (row, role) in enumerate(zip(samples.row, roles, strict=True))
    }
    assert len(said) == len(samples)
    assert said <= set(map(tuple, carried))
    assert len(carried) == len(samples) + sum(facts["warmup_requests"].values())


def test_a_log_is_sent_as_it_was_recorded(double, job):
    folder = job(replay="log.jsonl", phases=[{"duration": 5, "rate": 60}], duration=5)
    rng = np.random.default_rng(5)
    # a pause of two seconds, and a burst of 100 in 50 ms
    times = np.sort(
        np.concatenate([rng.uniform(0, 2, 100), rng.uniform(4, 4.05, 100), rng.uniform(4, 5, 100)])
    )
    rows = rng.integers(0, 500, 300, dtype=np.int32)
    data = folder / "evaluation.parquet"
    data.write_bytes(with_arrivals(pq.read_table(data), Recorded(times, rows)))
    with double(delays=[0.005]) as server:
        code, _, samples, facts = load(folder, server, workers=2)
    assert code == ExitCode.PASS, facts["reason"]
    for version in ("stable", "candidate"):
        part = samples.of(version)
        assert sorted(zip(part.scheduled_at, part.row, strict=True)) == sorted(zip(times, rows, strict=True))


@pytest.mark.parametrize("workers", [1, 2])
def test_the_samples_can_be_followed_while_they_come(double, job, workers):
    folder = job(rate=100, duration=240)
    with double(delays=[0.005]) as server:
        process = launch(folder, server.url, workers, stream=True)
        came, events = [], []
        for line in process.lines():
            content = read_line(line)
            if isinstance(content, SampleSet):
                came.append(content)
                if len(came) == 2 * workers:
                    process.stop()  # not in one piece at the end, which is far
            else:
                events.append(content)
        code, events, samples, facts = end(process, folder, events)
    assert (code, facts["ended"]) == (ExitCode.INTERRUPTED, "stopped")
    assert in_order(SampleSet.concat(came)) == in_order(samples)


def in_order(samples):
    """But for what is only known when the other half of the rows has been asked, after the load."""
    known = samples.table.drop(["matches", "baseline", "request_id"])
    return sorted(known.to_pylist(), key=lambda s: (s["done_at"], s["row"], s["role"]))


def test_every_latency_is_that_of_the_server_and_of_the_way(double, job):
    """A sample's times lie around the server's of the same request, and before those of the next one.

    Both sides read the same clock, one of them from the run's time zero on, wherever that is. On one
    connection the next request is sent when the answer was read, and so the server knows that moment, too.
    """
    folder = job(rate=100, baseline=0)
    with double(delays=[0.0, 0.01, 0.05]) as server:
        code, _, samples, facts = load(folder, server)
        told = server.seen()
    assert code == ExitCode.PASS, facts["reason"]
    arrived, answered, following = {}, {}, {}
    latest = {}
    for row, version, connection, begin, end in sorted(told["log"], key=lambda record: record[3]):
        arrived[row, version], answered[row, version] = begin, end
        if connection in latest:
            following[latest[connection]] = begin
        latest[connection] = (row, version)
    names = samples.table["role"].to_pylist()
    keys = list(zip(samples.row.tolist(), names, strict=True))
    # where time zero can have been, by each of them
    before = [arrived[key] - at for key, at in zip(keys, samples.sent_at, strict=True)]
    before += [following[key] - at for key, at in zip(keys, samples.done_at, strict=True) if key in following]
    after = [answered[key] - at for key, at in zip(keys, samples.done_at, strict=True)]
    assert len(following) > len(samples) / 3
    assert max(after) <= min(before)
    # where the run says that it was; the clocks drift apart by less
    assert facts["began_at"] - told["clock"] <= min(before) + 0.01
    # nothing is sent early, and latency counts from the instant that was intended
    assert (samples.sent_at >= samples.scheduled_at).all()
    assert np.array_equal(samples.latency, samples.done_at - samples.scheduled_at)


def test_requests_leave_on_schedule_while_nothing_is_answered(double, job):
    """Users that wait for their answers would never send the request that ends the standstill."""
    folder = job(rate=50, baseline=0)
    first, last = 120, 220  # the first rows that are looked at come before
    with double(hold=[first, last]) as server:
        code, _, samples, facts = load(folder, server)
        told = server.seen()
        assert counted(samples, facts) == seen(server)
    assert code == ExitCode.PASS, facts["reason"]
    began, ended = told["held"]
    held = {(row, version) for row, version, _, at, _ in told["log"] if began <= at <= ended}
    assert len(held) == last - first + 1
    keys = zip(samples.row.tolist(), samples.table["role"].to_pylist(), strict=True)
    mine = samples.where(np.array([key in held for key in keys]))
    assert len(mine) == len(held)
    # each waited for the same moment, and the wait counts from when it was to be sent
    assert mine.done_at.min() >= mine.sent_at.max()
    assert (mine.latency >= mine.sent_at.max() - mine.scheduled_at).all()
    assert not samples.failed.any()


def test_a_rate_beyond_the_generator_is_invalid(double, job):
    folder = job(rate=50_000, duration=60, warmup=0, baseline=0)
    with double() as server:
        code, _, samples, facts = load(folder, server)
        assert code == ExitCode.INVALID
        assert counted(samples, facts) == seen(server)
    assert (facts["valid"], facts["ended"]) == (False, "broken")
    # where the server is even slower, the connections are used up first
    assert "behind its schedule" in facts["reason"] or "were in flight" in facts["reason"]
    assert facts["duration_s"] < 60


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGINT, 1), (signal.SIGTERM, 2)])
def test_a_stop_in_the_middle_keeps_what_was_measured(double, job, number, workers):
    folder = job(rate=100, duration=240)
    with double(delays=[0.2]) as server:
        process = launch(folder, server.url, workers)
        lines = process.lines()
        while not json.loads(next(lines))["done"]:
            pass
        process.process.send_signal(number)
        code, _, samples, facts = finish(process, folder)
        assert code == ExitCode.INTERRUPTED
        assert counted(samples, facts) == seen(server)
    assert (facts["ended"], facts["valid"]) == ("stopped", True), facts["reason"]
    assert 0 < facts["duration_s"] < 240
    # whatever was due was sent, and waited for
    assert facts["achieved_rps"] == pytest.approx(facts["offered_rps"])
    assert len(samples.of("stable")) == pytest.approx(facts["offered_rps"] * facts["duration_s"])
    assert not samples.failed.any()


def test_a_worker_that_dies_is_missing_and_what_it_reported_is_kept(double, job):
    folder = job(rate=50, duration=8)
    with double() as server:
        process = launch(folder, server.url, 2, stream=True)
        heard = set()
        for line in process.lines():
            content = read_line(line)
            if isinstance(content, SampleSet) and heard != {0, 1}:
                heard.update(content.table["worker"].to_pylist())
                if heard == {0, 1}:
                    psutil.Process(process.process.pid).children()[0].kill()
        code, _, samples, facts = end(process, folder, [])
        assert code == ExitCode.INVALID
        total = sum(seen(server).values())
    assert [gone["reason"][:9] for gone in facts["missing_workers"]] == ["no report"]
    assert "went missing" in facts["reason"]
    dead = facts["missing_workers"][0]["worker"]
    by_worker = np.bincount(samples.table["worker"].to_numpy(), minlength=2)
    # the other one went on to the end, with its own share and no more
    one, other = (2 * shares(folder, 2)[worker].measured for worker in (dead, 1 - dead))
    assert 0 < by_worker[dead] < one
    assert by_worker[1 - dead] == other
    assert len(samples) < total


def test_a_worker_that_dies_before_the_load_ends_the_run_at_once(double, job):
    """Not after the minute that a worker on another machine has to prepare."""
    folder = job(rate=50, baseline=600)
    with double(delays=[1.0]) as server:
        process = launch(folder, server.url, 2)
        for line in process.lines():
            children = psutil.Process(process.process.pid).children()
            if "baseline" in json.loads(line) and len(children) == 2:
                children[0].kill()
        code, _, samples, facts = end(process, folder, [])
    assert (code, len(samples), facts["missing_workers"]) == (ExitCode.LAB, 0, [])
    assert "a worker process ended before the load began" in (folder / "load.log").read_text()


def test_a_request_times_out_as_a_whole_and_is_a_wrong_answer(double, job):
    folder = job(rate=40, duration=1, timeout=3, baseline=0)
    # who waited longer than asked would have the answer
    with double(delays=[15, 0.01]) as server:
        _, _, samples, facts = load(folder, server)
        assert counted(samples, facts) == seen(server)
    slow = samples.row % 2 == 0
    assert set(samples.where(slow).table["error"].to_pylist()) == {"timeout"}
    assert set(samples.where(slow).table["status"].to_pylist()) == {0}
    assert not samples.correct[slow].any()
    assert (samples.done_at - samples.sent_at)[slow].min() >= 3
    assert not samples.failed[~slow].any()


@pytest.mark.parametrize("workers", [1, 2])
def test_users_without_a_pin_get_whom_the_target_chooses_and_report_later(double, job, workers):
    folder = job(rate=150, duration=3, traffic="canary", users=500, feedback_delay=0.3)
    with double(split=20) as server:
        code, _, samples, facts = load(folder, server, workers)
        told = server.seen()
    assert code == ExitCode.PASS, facts["reason"]
    # one request an arrival, told by who answered
    assert counted(samples, facts) == {v: told[v] for v in ("stable", "candidate")}
    assert 0.1 < len(samples.of("candidate")) / len(samples) < 0.3
    assert told["other"] == 0
    # feedback goes to who answered, with the row's true label, once, and late; the end cuts some off
    feedback = told["feedback"]
    assert all(to == by and label == str(row % 2) for to, by, row, label, _ in feedback)
    assert len({row for _, _, row, _, _ in feedback}) == len(feedback) > len(samples) / 2
    # exponential with a mean of 0.3 s; slowness may add to it
    assert np.mean([delay for *_, delay in feedback]) > 0.2
    assert max(delay for *_, delay in feedback) > 0.9


def test_connections_that_the_server_closes_are_opened_again(double, job):
    with double(close_every=3, delays=[0.002]) as server:
        _, _, samples, facts = load(job(rate=100), server)
        told = server.seen()
    assert not samples.failed.any()
    assert counted(samples, facts) == {v: told[v] for v in ("stable", "candidate")}
    assert told["connections"] >= sum(counted(samples, facts).values()) / 3


def test_error_answers_are_recorded_as_what_they_are(double, job):
    with double(status=503) as server:
        code, _, samples, facts = load(job(rate=40, duration=1, traffic="stable"), server)
        assert counted(samples, facts) == seen(server)
    assert code == ExitCode.PASS  # the load was measured well; the judge says what it means
    assert set(samples.table["error"].to_pylist()) == {"http 503"}
    assert set(samples.table["status"].to_pylist()) == {503}


FAILING = """
import sys
from pathlib import Path
from loadtest.load import headless  # first: importing locust patches the standard library
from loadtest.load.sending.recorder import Recorder

class Failing(Recorder):
    def add(self, *sample, **more):
        if self.recorded == 20:
            raise MemoryError("no room")
        super().add(*sample, **more)

try:
    headless.run(Path(sys.argv[1]), sys.argv[2], 1, recorder=Failing)
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def test_a_recorder_that_fails_makes_the_run_fail(double, job):
    folder = job(rate=100, duration=240)
    with double() as server:
        done = subprocess.run(
            [sys.executable, "-c", FAILING, str(folder), server.url],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stderr.splitlines()[-1] == "LabError: recording failed (MemoryError: no room)"
    facts = json.loads((folder / "load.json").read_text())
    assert (facts["valid"], facts["ended"]) == (False, "broken")
    assert facts["duration_s"] < 240


@pytest.mark.parametrize(
    ("spoil", "workers", "code", "message"),
    [
        ("target", 1, ExitCode.LAB, "nothing answers there"),
        ("target", 2, ExitCode.LAB, "nothing answers there"),
        # read before the workers are waited for
        ("data", 1, ExitCode.USAGE, "evaluation.parquet: no such file"),
        ("data", 2, ExitCode.USAGE, "evaluation.parquet: no such file"),
        ("experiment", 1, ExitCode.USAGE, "experiment.toml: no such experiment file"),
        ("features", 1, ExitCode.USAGE, "takes 3 features, the evaluation set has 2"),
    ],
)
def test_what_cannot_run_is_told_in_one_line(double, job, spoil, workers, code, message):
    folder = job(rate=10)
    with double(features=3 if spoil == "features" else 2) as server:
        if spoil in ("data", "experiment"):
            (folder / {"data": "evaluation.parquet", "experiment": "experiment.toml"}[spoil]).unlink()
        process = launch(folder, "http://127.0.0.1:1" if spoil == "target" else server.url, workers)
        list(process.lines())
        assert process.wait() == code
        assert not any(seen(server).values())
    log = (folder / "load.log").read_text().splitlines()
    assert message in log[-1]
    assert "Traceback" not in "\n".join(log)
