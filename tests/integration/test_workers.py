"""Workers on other machines: they join by one command, bring nothing along, and may die."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import msgpack
import numpy as np
import pytest
import zmq

from loadtest.data.samples import SampleSet
from loadtest.experiment.experiment import Experiment
from loadtest.load.sending.arrivals import draw
from tests.integration.locust_process import Page, free_port, locust, runs, until
from tests.waiting import HUNG

pytestmark = pytest.mark.integration

WORKER = [sys.executable, "-m", "loadtest", "worker"]


@contextmanager
def worker(folder, port, *arguments, **variables):
    """``loadproof worker`` in an empty folder, as on a machine that has nothing of the run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOADPROOF_")}
    environment |= variables
    environment["PYTHONPATH"] = os.getcwd()  # noqa: PTH109
    (folder / "elsewhere").mkdir(exist_ok=True)
    with (folder / "worker.log").open("a") as log:
        process = subprocess.Popen(
            [*WORKER, "--master", f"127.0.0.1:{port}", *arguments],
            cwd=folder / "elsewhere", env=environment, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(120)


@contextmanager
def master(folder, url, **variables):
    """Locust's master with its pages; the page, and the port that workers connect to."""
    page, port = Page(), str(free_port())
    options = ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port]
    with locust(folder, *page.options, *options, "--host", url, **variables):
        until(page.is_up)
        yield page, port


def ended(folder):
    run = until(lambda: runs(folder))[0]
    until(lambda: (run / "verdict.json").exists())
    return run, json.loads((run / "load.json").read_text()), json.loads((run / "verdict.json").read_text())


def test_one_of_three_is_killed_in_the_middle_and_the_verdict_says_what_is_missing(double, job):
    folder = job(rate=150, duration=9)
    data = folder / "evaluation.parquet"
    hidden = folder / "the-masters.parquet"
    data.rename(hidden)
    with double() as server, ExitStack() as stack:
        # the master's own name of the target is of no use to the workers
        name = server.url.replace("127.0.0.1", "localhost")
        page, port = stack.enter_context(master(folder, name, LOADPROOF_DATA=str(hidden)))
        workers = [stack.enter_context(worker(folder, port, "--target", server.url)) for _ in range(3)]
        until(lambda: page.stats()["worker_count"] == 3)
        page.start()
        until(lambda: page.live()["state"] == "running" and page.live()["figures"]["sent"] > 300)
        workers[0].kill()
        run, load, verdict = ended(folder)
        sent = {version: server.seen()[version] for version in ("stable", "candidate")}
    assert verdict["verdict"] == "INVALID"
    assert verdict["reason"] == load["reason"]
    (gone,) = load["missing_workers"]
    assert f"worker {gone['worker']} on " in load["reason"]
    assert f"last heard {gone['last_report_s']:.1f} s into the run" in load["reason"]
    assert 0 < gone["last_report_s"] < 9
    samples = SampleSet.read(run / "samples.parquet")
    config = Experiment.load_file(str(run / "experiment.toml")).load
    for index in range(3):
        mine = samples.where(samples.table["worker"].to_numpy() == index)
        planned = draw(config, 5000, index, 3)
        planned = planned.scheduled_at[planned.scheduled_at >= 0]
        if index != gone["worker"]:
            # the others did all that was theirs, and no more
            for version in ("stable", "candidate"):
                assert np.array_equal(np.sort(mine.of(version).scheduled_at), planned)
            continue
        # what it had reported is kept, and what is missing is counted to the arrival
        kept = np.unique(mine.scheduled_at)
        assert 0 < len(kept) < len(planned)
        assert np.isin(kept, planned).all()
        assert kept.max() <= gone["last_report_s"]
        assert (gone["arrivals"], gone["missing_arrivals"]) == (len(planned), len(planned) - len(kept))
        missing = f"{len(planned) - len(kept):,} of its {len(planned):,} arrivals have no sample"
        assert missing in load["reason"]
    # no count is off: of what the dead worker sent last the target knows more than anybody else
    for version, count in load["requests"].items():
        assert count == len(samples.of(version)) == verdict["versions"][version]["requests"]
        known = count + load["warmup_requests"][version] + load["baseline"][version]["requests"]
        assert known <= sent[version] <= known + gone["missing_arrivals"]
    for log in ("worker.log", "locust.log"):
        assert "Traceback" not in (folder / log).read_text()


def test_a_worker_that_cannot_reach_the_target_says_so_before_anything_is_sent(double, job):
    folder = job(rate=50)
    with (
        double() as server,
        master(folder, server.url) as (page, port),
        worker(folder, port, "--target", "http://127.0.0.1:1"),
    ):
        until(lambda: page.stats()["worker_count"] == 1)
        page.start()
        _, load, verdict = ended(folder)
    assert verdict["verdict"] == "INVALID"
    assert "http://127.0.0.1:1 cannot be reached from " in load["reason"]
    assert "start the worker with --target" in load["reason"]


@pytest.mark.parametrize(
    ("master", "code", "says"),
    [
        ("127.0.0.1:1", 5, "127.0.0.1:1: no master can be reached there"),
        ("lab:x", 2, "'lab:x' is not the address"),
    ],
)
def test_what_is_no_master_is_one_line(master, code, says):
    done = subprocess.run([*WORKER, "--master", master], capture_output=True, text=True, check=False)
    assert done.returncode == code
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"loadproof: {says}")


def test_a_run_outlives_workers_whose_heartbeats_are_late():
    """Locust's own three seconds hold between two runs; a busy machine takes longer to prepare one."""
    program = """
from locust import runners
from locust.env import Environment
from loadtest.load.cluster.wiring import let_reports_decide

environment = Environment()
runner = environment.create_master_runner("127.0.0.1", 0)
worker = runner.clients["a"] = runners.WorkerNode("a", heartbeat_liveness=runners.HEARTBEAT_LIVENESS)
let_reports_decide(environment)
for event in (environment.events.test_start, environment.events.test_stopping):
    event.fire(environment=environment)
    print(worker.heartbeat, runners.HEARTBEAT_LIVENESS)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["120 120", "3 3"]


def test_a_rogue_master_reads_no_variable_of_a_worker(double, job):
    """It asks for a secret in a header to a server of its own, which the worker sends nothing to."""
    with double() as server:
        folder = job(
            rate=50, target={"stable": server.url, "candidate": server.url, "headers": ["X-A: env:SECRET"]}
        )
        secret = {"SECRET": "worth-a-lot"}
        with (
            master(folder, "", SECRET="the-masters-own") as (page, port),
            worker(folder, port, **secret),
        ):
            until(lambda: page.stats()["worker_count"] == 1)
            page.start()
            _, load, _ = ended(folder)
    assert "the master asks for the variable 'SECRET', which this worker does not allow" in load["reason"]
    assert load["requests"] == {"stable": 0, "candidate": 0}


JOIN = msgpack.packb(("client_ready", -1, "eve"))
STRANGERS = [
    b"",
    b"\xc1",
    b"\x91" * 100_000,
    b"\xdd\xff\xff\xff\xff",
    *map(msgpack.packb, (5, None, ["client_ready"], ["a", "b", "c", "d"])),
    msgpack.packb(("x", {"__datetime__": True}, "eve")),
    msgpack.packb((["a"], {}, "eve")),
    msgpack.packb(("client_ready", -1, 5)),
    JOIN,
    # of a worker, without what belongs to it
    *(
        msgpack.packb((kind, None, "eve"))
        for kind in ("heartbeat", "spawning_complete", "exception", "stats")
    ),
    # for another one
    msgpack.packb(("client_ready", -1, "somebody else")),
    JOIN,
]


def told_by_a_stranger(port):
    """What the master answers to a process that speaks Locust's transport, but not its language."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        stranger.setsockopt(zmq.IDENTITY, b"eve")
        stranger.connect(f"tcp://127.0.0.1:{port}")
        for message in STRANGERS:
            stranger.send(message)
        heard = []
        while heard.count("ack") < STRANGERS.count(JOIN):
            assert stranger.poll(HUNG * 1000), heard
            heard.append(msgpack.unpackb(stranger.recv())[0])
        stranger.send(msgpack.packb(("quit", None, "eve")))
    return heard


def test_a_worker_joins_only_with_the_masters_token(double, job):
    folder = job(rate=50, duration=1)
    token = {"LOADPROOF_WORKER_TOKEN": "shared"}
    with (
        double() as server,
        master(folder, server.url, **token) as (page, port),
        ExitStack() as workers,
    ):
        # whatever reaches the port, the master goes on to hear its workers
        assert "ack" in told_by_a_stranger(port)
        until(lambda: page.stats()["worker_count"] == 0)
        for known in ({"LOADPROOF_WORKER_TOKEN": "guessed"}, token):
            workers.enter_context(worker(folder, port, **known))
        until(lambda: page.stats()["worker_count"] == 2)
        log = folder / "locust.log"
        until(lambda: "was not signed with the token in LOADPROOF_WORKER_TOKEN" in log.read_text())
        until(lambda: " takes part" in log.read_text())
        page.start()
        _, load, _ = ended(folder)
    assert (load["valid"], load["workers"]) == (True, 1), load["reason"]


def test_compare_waits_for_its_workers_and_judges_what_they_sent(double, job):
    """Without the master's pages, in the words that a person types."""
    token, port = {"LOADPROOF_WORKER_TOKEN": "shared"}, free_port()
    with double() as stable, double() as candidate, ExitStack() as stack:
        target = {"stable": stable.url, "candidate": candidate.url}
        folder = job(rate=40, duration=2, target=target)
        # they are there before their master, and ports of this machine are theirs to send to
        for _ in range(2):
            stack.enter_context(worker(folder, port, "--wait", "5m", **token))
        options = ["--experiment", str(folder / "experiment.toml"), "--results", str(folder / "results")]
        options += ["--gate", "error_rate <= stable + 50pp", "--listen", f"localhost:{port}"]
        done = subprocess.run(
            [sys.executable, "-m", "loadtest", "compare", *options, "--expect-workers", "2"],
            env=os.environ | token, capture_output=True, text=True, check=False, timeout=HUNG,
        )  # fmt: skip
        sent = {"stable": stable.seen()["other"], "candidate": candidate.seen()["other"]}
    (run,) = runs(folder)
    verdict = json.loads((run / "verdict.json").read_text())["verdict"]
    # a machine that is late makes it INVALID, and all that is counted here holds
    assert (done.returncode, done.stderr) == ({"PASS": 0, "INVALID": 4}[verdict], ""), done.stdout
    assert f"2 of 2 workers have joined at 127.0.0.1:{port}" in done.stdout
    load = json.loads((run / "load.json").read_text())
    assert (load["workers"], load["missing_workers"], load["missing_samples"]) == (2, [], 0)
    samples = SampleSet.read(run / "samples.parquet")
    planned = [draw(Experiment.load_file(str(run / "experiment.toml")).load, 5000, n, 2) for n in range(2)]
    for version in ("stable", "candidate"):
        for index, arrivals in enumerate(planned):
            mine = samples.where(samples.table["worker"].to_numpy() == index).of(version)
            measured = arrivals.scheduled_at[arrivals.scheduled_at >= 0]
            assert np.array_equal(np.sort(mine.scheduled_at), measured)
        known = load["requests"][version] + load["warmup_requests"][version]
        # of those that ask for baseline answers, what ends with their time is not counted
        assert known <= sent[version]
