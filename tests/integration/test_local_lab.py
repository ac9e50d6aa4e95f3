"""The local lab with stand-ins for the model server: what it starts, says, and leaves behind."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from loadtest.errors import ServiceDied, StartError
from loadtest.experiment.experiment import Experiment
from loadtest.fetch import get
from loadtest.lab.gateway.signature import sign
from loadtest.lab.interface import Version
from loadtest.lab.local.lab import LocalLab
from loadtest.lab.local.limits import limits_for

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
SERVER = (sys.executable, str(ROOT / "tests/loadtest/lab/double_server.py"))
MARK = "LOADPROOF_TEST_MARK"


@pytest.fixture
def mark(monkeypatch):
    """Put a mark into the environment that everything a test starts inherits."""
    mark = secrets.token_hex(8)
    monkeypatch.setenv(MARK, mark)
    yield mark
    for process in marked(mark):
        process.kill()


def marked(mark):
    """Everything alive that a test started, directly or not."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if process.pid != os.getpid()]


def cgroups_of(pid):
    return [str(path) for path in Path("/sys/fs/cgroup").rglob(f"loadproof-*-{pid}-*")]


def assert_nothing_is_left(mark, pid):
    assert marked(mark) == []
    assert cgroups_of(pid) == []


def versions(tmp_path, cpus=None, **starts):
    """Two version folders; ``candidate="crash"`` says how the double starts."""
    for role in ("stable", "candidate"):
        (tmp_path / role).mkdir()
        if role in starts:
            (tmp_path / role / "start").write_text(starts[role])
    return tuple(Version(role, tmp_path / role, cpus, None) for role in ("stable", "candidate"))


def lab(tmp_path, cpus=None, starts=None, **options):
    options = {"server": SERVER, "gateway_port": 0, "with_prometheus": False, "start_seconds": 20.0} | options
    return LocalLab(versions(tmp_path, cpus, **(starts or {})), tmp_path / "lab", "shop", **options)


def split(lab, percent):
    lab.canary.update(lambda state: state.set(percent, sign("a test")))


def eventually(condition, within=20.0):
    deadline = time.monotonic() + within
    while not (result := condition()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)
    return result


def test_a_lab_starts_answers_and_leaves_nothing(tmp_path, mark):
    with lab(tmp_path) as running:
        for role in ("stable", "candidate"):
            answer = get(f"{running.endpoints.gateway}/v2/models/shop/echo", 5.0, {"x-model-version": role})
            assert answer is not None
            assert (answer.status, answer.headers["x-model-version"]) == (200, role)
            assert get(f"{getattr(running.endpoints, role)}/v2/health/ready", 5.0).status == 200
        running.check()
        facts = running.environment()
        assert facts["backend"] == "local"
        assert facts["envoy"].count(".") == 2
        # nothing was asked for, nothing is claimed
        assert facts["limits"]["stable"] == {"cpus": None, "memory": None, "by": "none"}
        assert running.cpu_usage("stable") is None
    assert_nothing_is_left(mark, os.getpid())


def test_a_split_is_in_force_when_the_update_returns(tmp_path, mark):
    with lab(tmp_path) as running:
        for percent, version in [(100, "candidate"), (0, "stable"), (100, "candidate")]:
            split(running, percent)
            answers = [get(f"{running.endpoints.gateway}/v2/echo", 5.0) for _ in range(50)]
            assert {answer.headers["x-model-version"] for answer in answers if answer} == {version}


def test_the_limit_in_force_is_what_the_kernel_says(tmp_path, mark):
    if not can_limit():
        pytest.skip("no CPU limit can be had on this machine")
    with lab(tmp_path, cpus=0.1) as running:
        assert running.enforced_cpus("stable") == running.enforced_cpus("candidate") == 0.1
        before = running.cpu_usage("candidate")
        assert get(f"{running.endpoints.candidate}/v2/spin?1", 10.0).status == 200
        after = running.cpu_usage("candidate")
        # a busy second at a tenth of a core is stopped in most of its ten periods
        assert after.periods - before.periods >= 5
        assert after.throttled_periods > before.throttled_periods
    assert_nothing_is_left(mark, os.getpid())


def can_limit():
    limits = limits_for("probe", 0.5, None)
    limits.remove()
    return limits.how != "none"


def test_prometheus_scrapes_the_versions_and_the_gateway(tmp_path, mark):
    with lab(tmp_path, with_prometheus=True) as running:
        url = running.endpoints.prometheus
        if url is None:
            pytest.skip("no prometheus on the PATH")

        def up():
            answer = get(f"{url}/api/v1/query?query=up", 5.0)
            return sorted(
                (row["metric"]["job"], row["metric"].get("role", ""))
                for row in json.loads(answer.body)["data"]["result"]
                if row["value"][1] == "1"
            )

        wanted = [("gateway", ""), ("prometheus", ""), ("versions", "candidate"), ("versions", "stable")]
        eventually(lambda: up() == wanted)
    assert_nothing_is_left(mark, os.getpid())


def test_a_preferred_port_in_use_is_not_an_error(tmp_path, mark):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with lab(tmp_path, gateway_port=port) as running:
            assert running.endpoints.gateway != f"http://127.0.0.1:{port}"
            assert get(f"{running.endpoints.gateway}/v2/echo", 5.0).status == 200


def test_a_preferred_port_that_is_free_is_taken(tmp_path, mark):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with lab(tmp_path, gateway_port=port) as running:
        assert running.endpoints.gateway == f"http://127.0.0.1:{port}"


def test_a_port_that_somebody_takes_in_between_gets_another_try(tmp_path, mark):
    with lab(tmp_path, starts={"candidate": "port-in-use"}) as running:
        assert get(f"{running.endpoints.candidate}/v2/echo", 5.0).status == 200
    assert_nothing_is_left(mark, os.getpid())


def test_two_labs_run_side_by_side(tmp_path, mark):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with lab(tmp_path / "a") as first, lab(tmp_path / "b") as second:
        split(first, 100)
        split(second, 0)
        for running, version in ((first, "candidate"), (second, "stable")):
            assert get(f"{running.endpoints.gateway}/v2/echo", 5.0).headers["x-model-version"] == version


@pytest.mark.parametrize(
    ("start", "seconds", "message", "log"),
    [
        # it ends while it starts
        ("crash", 20.0, "candidate did not start: it ended with exit code 1", "its model is broken"),
        # it never becomes ready
        ("never-ready", 1.0, "candidate did not start: it was not ready within 1 s", None),
    ],
)
def test_a_failed_start_names_the_service_and_leaves_nothing(tmp_path, mark, start, seconds, message, log):
    with (
        pytest.raises(StartError, match=message) as caught,
        lab(tmp_path, cpus=0.5, starts={"candidate": start}, start_seconds=seconds),
    ):
        pass
    if log:
        assert log in caught.value.log[-1]
    assert_nothing_is_left(mark, os.getpid())


@pytest.mark.parametrize("service", ["candidate", "gateway"])
def test_a_service_that_dies_is_named_with_its_log_and_nothing_is_left(tmp_path, mark, service):
    def run():
        with lab(tmp_path, cpus=0.5) as running:
            if service == "candidate":
                get(f"{running.endpoints.candidate}/v2/crash", 5.0)
            else:
                (envoy,) = (process for process in marked(mark) if process.name().startswith("envoy"))
                envoy.kill()
            eventually(lambda: died(running))
            running.check()

    def died(running):
        try:
            running.check()
        except ServiceDied:
            return True
        return False

    with pytest.raises(ServiceDied, match=service) as caught:
        run()
    if service == "candidate":
        assert "ended with exit code 3" in str(caught.value)
        assert caught.value.log[-1] == "the double crashes as it was told"
    else:
        assert "was killed by SIGKILL" in str(caught.value)
    assert_nothing_is_left(mark, os.getpid())


SCRIPT = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from loadtest.lab.interface import Version
from loadtest.lab.local.lab import LocalLab
versions = tuple(Version(role, Path({folder!r}) / role, 0.5, None) for role in ("stable", "candidate"))
with LocalLab(versions, Path({folder!r}) / "lab", "shop", gateway_port=0, server={server!r}) as lab:
    print("up", flush=True)
    {then}
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("how", "then"),
    [
        (signal.SIGINT, ""),
        (signal.SIGTERM, ""),
        (signal.SIGKILL, ""),
        # an exception
        (None, "raise RuntimeError"),
        # an end without clean-up
        (None, "import os; os._exit(9)"),
    ],
)
def test_nothing_is_left_however_the_lab_ends(tmp_path, mark, how, then):
    versions(tmp_path, candidate="children")
    script = SCRIPT.format(root=str(ROOT), folder=str(tmp_path), server=SERVER, then=then)
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    if how is not None:
        process.send_signal(how)
    process.wait(timeout=30)
    process.stdout.close()
    ended = time.monotonic()
    eventually(lambda: not marked(mark) and not cgroups_of(process.pid), within=10)
    print(f"{how!r}: all gone {time.monotonic() - ended:.2f} s after the lab's process")


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.2, 0.5])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_end_while_it_starts_leaves_nothing(tmp_path, mark, how, delay):
    versions(tmp_path)
    script = SCRIPT.format(root=str(ROOT), folder=str(tmp_path), server=SERVER, then="")
    # the script says so itself when the lab begins to start
    script = script.replace("with LocalLab", "print('go', flush=True)\nwith LocalLab")
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "go\n"
    # not a wait for something: the moment of the interruption is what varies
    time.sleep(delay)
    process.send_signal(how)
    process.wait(timeout=30)
    process.stdout.close()
    eventually(lambda: not marked(mark) and not cgroups_of(process.pid), within=10)


LOAD = """
import json, signal, sys, time
stop = []
signal.signal(signal.SIGINT, lambda *_: stop.append(1))
how = sys.argv[1]
print(json.dumps({"argv": sys.argv[2:]}), flush=True)
if how == "fails":
    sys.exit("no row could be sent")
while how == "endless" and not stop:
    time.sleep(0.01)
if how == "noisy":
    print("x" * 1_000_000)
print(json.dumps({"stopped": bool(stop)}), flush=True)
sys.exit(4 if how == "invalid" else 0)
"""


@pytest.fixture
def job(tmp_path):
    job = tmp_path / "job"
    job.mkdir()
    (job / "experiment.toml").write_text(Experiment.load_file("compare").to_toml())
    return job


def load(how):
    return (sys.executable, "-c", LOAD, how)


@pytest.mark.parametrize(
    ("how", "code"),
    [("short", 0), ("invalid", 4)],
)
def test_a_load_that_ends_by_itself(tmp_path, mark, job, how, code):
    with lab(tmp_path, load=load(how)) as running:
        process = running.launch_load(job)
        lines = [json.loads(line) for line in process.lines()]
        assert lines[0] == {"argv": ["--job", str(job), "--host", running.endpoints.gateway]}
        assert lines[1] == {"stopped": False}
        process.stop()
        assert process.wait() == process.wait() == code
        running.check()
    assert_nothing_is_left(mark, os.getpid())


def test_a_load_that_is_stopped_ends_early_and_says_so(tmp_path, mark, job):
    with lab(tmp_path, load=load("endless")) as running:
        process = running.launch_load(job)
        lines = process.lines()
        next(lines)
        process.stop()
        process.stop()
        assert [json.loads(line) for line in lines] == [{"stopped": True}]
        assert process.wait() == 0


def test_lines_that_nobody_reads_do_not_hold_a_load_up(tmp_path, mark, job):
    with lab(tmp_path, load=load("noisy")) as running:
        assert running.launch_load(job).wait() == 0


def test_a_load_that_fails_is_named_with_its_log(tmp_path, mark, job):
    with lab(tmp_path, load=load("fails")) as running:
        process = running.launch_load(job)
        assert len(list(process.lines())) == 1
        assert process.wait() == 1
        with pytest.raises(ServiceDied, match="load ended with exit code 1") as caught:
            running.check()
        assert caught.value.log == ("no row could be sent",)


def test_a_load_that_is_forgotten_goes_with_the_lab(tmp_path, mark, job):
    with lab(tmp_path, load=load("endless")) as running:
        running.launch_load(job)
    assert_nothing_is_left(mark, os.getpid())
