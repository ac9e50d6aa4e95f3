"""The load generator against a server with known delays, as real processes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from benchmarks.load.run import launch
from loadtest.data.samples import SampleSet, read_line
from loadtest.errors import ExitCode
from loadtest.experiment.experiment import Experiment
from loadtest.load.sending.arrivals import draw

pytestmark = pytest.mark.integration

SHARES = (0.5, 0.95, 0.99)


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
        v: len(samples.of(v)) + facts["warmup_requests"][v] + facts["baseline"][v]["requests"]
        for v in ("stable", "candidate")
    }


def seen(server):
    return {version: server.seen()[version] for version in ("stable", "candidate")}


@pytest.mark.parametrize("workers", [1, 3])
def test_no_sample_is_lost(double, job, workers):
    folder = job(rate=150, duration=3, warmup=1, baseline=1)
    with double(delays=[0.005, 0.02, 0.1]) as server:
        code, events, samples, facts = load(folder, server, workers)
        assert code == ExitCode.PASS, facts["reason"]
        assert counted(samples, facts) == seen(server)
    assert facts["requests"] == {v: len(samples.of(v)) for v in ("stable", "candidate")}
    assert facts["warmup_requests"]["stable"] > 50
    assert set(samples.table["worker"].to_pylist()) == set(range(workers))
    assert not samples.failed.any()
    assert samples.correct.all()
    assert not samples.mismatch.any()
    assert facts["baseline"]["candidate"]["answered"] > 10
    assert events[-1]["done"] == len(samples)
    # what was sent is what was drawn, each row to both versions at the same intended instant
    config = Experiment.load_file(str(folder / "experiment.toml")).load
    drawn = [draw(config, 5000, worker, workers) for worker in range(workers)]
    planned = sorted(
        (at, row) for s in drawn for at, row in zip(s.scheduled_at, s.row, strict=True) if at >= 0
    )
    for version in ("stable", "candidate"):
        part = samples.of(version)
        assert sorted(zip(part.scheduled_at, part.row, strict=True)) == planned


@pytest.mark.parametrize("workers", [1, 2])
def test_the_samples_can_be_followed_while_they_come(double, job, workers):
    folder = job(rate=100, duration=4, warmup=1)
    with double(delays=[0.005]) as server:
        process = launch(folder, server.url, workers, stream=True)
        came, events = [], []
        for line in process.lines():
            content = read_line(line)
            if isinstance(content, SampleSet):
                came.append((len(events), content))
            else:
                events.append(content)
        code, events, samples, _ = end(process, folder, events)
    assert code == ExitCode.PASS
    # not in one piece at the end
    assert len({after for after, _ in came}) >= 3
    streamed = SampleSet.concat([part for _, part in came])
    assert in_order(streamed) == in_order(samples)


def in_order(samples):
    return sorted(samples.table.to_pylist(), key=lambda s: (s["done_at"], s["row"], s["role"]))


def known_latency(server, config, began_at):
    """Latency of each measured request from its intended send, by the server's own clock."""
    schedule = draw(config, 5000)
    due = dict(zip(schedule.row.tolist(), schedule.scheduled_at.tolist(), strict=True))
    ended = [(due[row], at - began_at) for row, _, at in server.seen()["answered"]]
    return np.array([end - begin for begin, end in ended if begin >= 0])


def arithmetic_latency(config, delays, began_at, stalled):
    """The same from the settings alone: the delay of the row, and what the stall adds to it."""
    schedule = draw(config, 5000)
    at, delay = schedule.scheduled_at, np.asarray(delays)[schedule.row % len(delays)]
    begin, end = (0.0, 0.0) if stalled is None else (moment - began_at for moment in stalled)
    done = at + delay
    done = np.where((done > begin) & (at < begin), np.maximum(done, np.where(done < end, end, 0)), done)
    done = np.where((at >= begin) & (at < end), end + delay, done)
    return np.repeat((done - at)[at >= 0], 2)  # both versions


def plain_locust(server, rate, seconds):
    """Latencies that a closed-loop Locust test shows, in seconds; Locust rounds them."""
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        "tests/integration/plain_locust.py",
        "--headless",
        "--json",
    ]
    command += ["--users", "4", "--spawn-rate", "4", "--run-time", f"{seconds}s", "--host", server.url]
    environment = os.environ | {"PLAIN_USERS": "4", "PLAIN_RATE": str(rate)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as locust:
        prefer(locust)
        (row,) = json.loads(locust.communicate()[0])
    times = sorted((int(float(ms)), count) for ms, count in row["response_times"].items())
    return np.repeat([ms / 1000 for ms, _ in times], [count for _, count in times])


def prefer(process):
    """Keep other work on this machine out of the figures, where that is allowed."""
    with contextlib.suppress(AttributeError, PermissionError):
        os.sched_setscheduler(process.pid, os.SCHED_RR, os.sched_param(1))


def measure(folder, double, settings):
    """Latencies in seconds by the samples, by the server's clock and by arithmetic."""
    config = Experiment.load_file(str(folder / "experiment.toml")).load
    with double(**settings) as server:
        process = launch(folder, server.url)
        prefer(process.process)
        prefer(server.process)
        code, _, samples, facts = finish(process, folder)
        assert code == ExitCode.PASS, facts["reason"]
        known = known_latency(server, config, facts["began_at"])
        stalled = server.seen()["stalled"]
    told = arithmetic_latency(config, settings["delays"], facts["began_at"], stalled)
    return samples.latency, known, told


DELAYS = [0.005] * 4 + [0.02] * 5 + [0.1] * 11
"""20% wait 5 ms, 25% 20 ms, 55% 100 ms: p50 is 100 ms, whose 2% is more than what sockets and timers take."""


@pytest.mark.alone
@pytest.mark.parametrize("stall", [0.0, 1.0])
def test_quantiles_are_those_of_the_server(double, job, stall):
    # what piled up in a stall must be worked off at once; without one, more samples say more
    rate = 20 if stall else 80
    folder = job(rate=rate, duration=6, warmup=1)
    settings = {"delays": DELAYS, "stall": stall, "stall_after": 2 * rate * 3}
    for _ in range(3):
        latencies = measure(folder, double, settings)
        measured, true, told = (np.quantile(x, SHARES) for x in latencies)
        if measured == pytest.approx(told, rel=0.02):
            break  # other work on this machine may spoil a run; a wrong clock spoils all of them
    with double(**settings | {"stall_after": rate * 3}) as server:
        plain = plain_locust(server, rate=rate, seconds=6)
    rows = {
        "samples": measured,
        "server's clock": true,
        "arithmetic": told,
        "plain Locust": np.quantile(plain, SHARES),
    }
    for name, quantiles in rows.items():
        print(
            f"{name:>15}",
            *(f"p{q * 100:g}: {x * 1000:7.1f} ms" for q, x in zip(SHARES, quantiles, strict=True)),
        )
    assert measured == pytest.approx(told, rel=0.02)
    assert measured == pytest.approx(true, rel=0.02)
    # the short delays, where what is added counts for more than 2%
    low = [0.1, 0.3]
    assert np.quantile(latencies[0], low) == pytest.approx(np.quantile(latencies[2], low), abs=0.003)
    if stall:
        # users that wait for their answers send nothing during the stall, and so hardly see it
        assert (plain > 0.2).mean() < 0.6 * (latencies[0] > 0.2).mean()


def test_a_rate_beyond_the_generator_is_invalid(double, job):
    folder = job(rate=30_000, duration=10, warmup=0, max_lag=0.05)
    with double() as server:
        began = time.monotonic()
        code, _, samples, facts = load(folder, server)
        assert code == ExitCode.INVALID
        assert counted(samples, facts) == seen(server)
    assert (facts["valid"], facts["ended"]) == (False, "broken")
    assert "behind its schedule" in facts["reason"]
    assert facts["duration_s"] < 9
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGINT, 1), (signal.SIGTERM, 2)])
def test_a_stop_in_the_middle_keeps_what_was_measured(double, job, number, workers):
    folder = job(rate=100, duration=60)
    with double(delays=[0.2]) as server:
        process = launch(folder, server.url, workers)
        lines = process.lines()
        while json.loads(next(lines))["done"] < 50:
            pass
        process.process.send_signal(number)
        code, _, samples, facts = finish(process, folder)
        assert code == ExitCode.INTERRUPTED
        assert counted(samples, facts) == seen(server)
    assert (facts["ended"], facts["valid"]) == ("stopped", True), facts["reason"]
    assert 0.5 < facts["duration_s"] < 30
    assert facts["achieved_rps"] == pytest.approx(facts["offered_rps"], rel=0.05)
    assert not samples.failed.any()


def test_a_worker_that_dies_is_missing_and_what_it_reported_is_kept(double, job):
    folder = job(rate=100, duration=7)
    with double() as server:
        process = launch(folder, server.url, 2)
        lines = process.lines()
        while json.loads(next(lines))["done"] < 200:
            pass
        victim = psutil.Process(process.process.pid).children()[0]
        victim.kill()
        code, _, samples, facts = finish(process, folder)
        assert code == ExitCode.INVALID
        total = sum(seen(server).values())
    assert [gone["reason"][:9] for gone in facts["missing_workers"]] == ["no report"]
    assert "went missing" in facts["reason"]
    dead = facts["missing_workers"][0]["worker"]
    by_worker = np.bincount(samples.table["worker"].to_numpy(), minlength=2)
    assert by_worker[dead] > 20
    # the other one went on to the end, with its own share and no more
    config = Experiment.load_file(str(folder / "experiment.toml")).load
    assert by_worker[1 - dead] == 2 * draw(config, 5000, 1 - dead, 2).measured
    assert len(samples) < total


def test_a_request_times_out_as_a_whole_and_is_a_wrong_answer(double, job):
    folder = job(rate=40, timeout=0.2)
    with double(delays=[0.5, 0.01]) as server:
        _, _, samples, facts = load(folder, server)
        assert counted(samples, facts) == seen(server)
    slow = samples.row % 2 == 0
    assert set(samples.where(slow).table["error"].to_pylist()) == {"timeout"}
    assert set(samples.where(slow).table["status"].to_pylist()) == {0}
    assert not samples.correct[slow].any()
    assert np.median(samples.latency[slow]) == pytest.approx(0.2, abs=0.05)
    assert not samples.failed[~slow].any()


@pytest.mark.parametrize("workers", [1, 2])
def test_users_without_a_pin_get_whom_the_target_chooses_and_report_later(double, job, workers):
    folder = job(rate=150, duration=4, warmup=1, traffic="canary", users=500, feedback_delay=0.5)
    with double(split=20) as server:
        code, _, samples, facts = load(folder, server, workers)
        told = server.seen()
    assert code == ExitCode.PASS, facts["reason"]
    # one request an arrival, told by who answered
    assert counted(samples, facts) == {v: told[v] for v in ("stable", "candidate")}
    assert 0.1 < len(samples.of("candidate")) / len(samples) < 0.3
    assert told["other"] == 0
    # feedback goes to who answered, with the row's true label, and late
    assert len(told["feedback"]) > 0.7 * len(samples)
    assert all(to == by and label == str(row % 2) for to, by, row, label, _ in told["feedback"])
    delays = np.array([delay for *_, delay in told["feedback"]])
    # 0.5 s on average, less what the end of the run cuts off
    assert 0.3 < delays.mean() < 0.6
    assert delays.max() > 1


def test_connections_that_the_server_closes_are_opened_again(double, job):
    with double(close_every=3, delays=[0.002]) as server:
        # asked alone, every next request would come in just that instant
        _, _, samples, facts = load(job(rate=100, baseline=0), server)
        assert server.seen()["connections"] > len(samples) / 4
        told = len(samples) + sum(facts["warmup_requests"].values())
        known = sum(seen(server).values())
    # closed in the very instant of the send: nobody can know whether it was read, so it is not sent again
    lost = [e for e in samples.table["error"].to_pylist() if e in ("connection closed", "connection reset")]
    assert told - known <= len(lost) < 0.02 * len(samples)
    assert samples.failed.sum() == len(lost)


def test_error_answers_are_recorded_as_what_they_are(double, job):
    with double(status=503) as server:
        code, _, samples, facts = load(job(rate=40), server)
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
    def add(self, *sample):
        if self.recorded == 20:
            raise MemoryError("no room")
        super().add(*sample)

try:
    headless.run(Path(sys.argv[1]), sys.argv[2], 1, recorder=Failing)
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def test_a_recorder_that_fails_makes_the_run_fail(double, job):
    folder = job(rate=100, duration=20)
    with double() as server:
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", FAILING, str(folder), server.url],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stderr.splitlines()[-1] == "LabError: recording failed (MemoryError: no room)"
    assert time.monotonic() - began < 18
    assert json.loads((folder / "load.json").read_text())["valid"] is False


@pytest.mark.parametrize(
    ("spoil", "code", "message"),
    [
        ("target", ExitCode.LAB, "nothing answers there"),
        ("data", ExitCode.USAGE, "evaluation.parquet: no such file"),
        ("experiment", ExitCode.USAGE, "experiment.toml: no such experiment file"),
        ("features", ExitCode.USAGE, "takes 3 features, the evaluation set has 2"),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_what_cannot_run_is_told_in_one_line(double, job, spoil, code, message, workers):
    if workers == 2 and spoil not in ("target", "data"):
        pytest.skip("the same code as with one worker")
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
