"""The local lab with stand-ins for the model server: what it starts, says, and leaves behind."""

import fnmatch
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from loadtest.errors import ServiceDied, StartError
from loadtest.experiment.experiment import Experiment
from loadtest.fetch import get
from loadtest.lab.gateway.signature import sign
from loadtest.lab.interface import Version
from loadtest.lab.local.lab import LocalLab
from loadtest.lab.processes.limits import limits_for
from tests.waiting import HUNG, eventually

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
SERVER = (sys.executable, str(ROOT / "tests/loadtest/lab/double_server.py"))
MARK = "LOADPROOF_TEST_MARK"


@pytest.fixture
def mark(monkeypatch, tmp_path):
    """Put a mark into the environment that everything a test starts inherits."""
    mark = secrets.token_hex(8)
    monkeypatch.setenv(MARK, mark)
    # another test's command would speak of the labs that are killed here
    monkeypatch.setenv("TMPDIR", str(tmp_path))
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
    # a walk passes over what others remove meanwhile
    inside = [f"{folder}/{name}" for folder, names, _ in os.walk("/sys/fs/cgroup") for name in names]
    return fnmatch.filter(inside, f"*/loadproof-*-{pid}-*")


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
    options = {"server": SERVER, "gateway_port": 0, "with_prometheus": False, "start_seconds": HUNG} | options
    return LocalLab(versions(tmp_path, cpus, **(starts or {})), tmp_path / "lab", "shop", **options)


def split(lab, percent):
    lab.canary.update(lambda state: state.set(percent, sign("a test")))


def requests(url):
    """How many requests a double has had."""
    return json.loads(get(f"{url}/requests", HUNG).body)["requests"]


def test_a_lab_starts_answers_and_leaves_nothing(tmp_path, mark):
    with lab(tmp_path) as running:
        for role in ("stable", "candidate"):
            answer = get(f"{running.endpoints.gateway}/v2/models/shop/echo", HUNG, {"x-model-version": role})
            assert answer is not None
            assert (answer.status, answer.headers["x-model-version"]) == (200, role)
            assert get(f"{getattr(running.endpoints, role)}/v2/health/ready", HUNG).status == 200
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
            urls = {role: getattr(running.endpoints, role) for role in ("stable", "candidate")}
            before = {role: requests(url) for role, url in urls.items()}
            # what follows is sent at once: nothing else gives the gateway time
            split(running, percent)
            for _ in range(50):
                assert get(f"{running.endpoints.gateway}/v2/echo", HUNG).status == 200
            asked = {role: requests(url) - before[role] for role, url in urls.items()}
            assert asked[version] == 50
            # stable is asked a second time where a busy machine keeps the candidate from answering
            assert asked["candidate"] == (50 if version == "candidate" else 0)


def test_the_limit_in_force_is_what_the_kernel_says(tmp_path, mark):
    if not can_limit():
        pytest.skip("no CPU limit can be had on this machine")
    with lab(tmp_path, cpus=0.1) as running:
        assert running.enforced_cpus("stable") == running.enforced_cpus("candidate") == 0.1
        before = running.cpu_usage("candidate")
        assert get(f"{running.endpoints.candidate}/v2/spin?0.1", HUNG).status == 200
        after = running.cpu_usage("candidate")
        # each period has 10 ms for it, and a core may keep a slice of what it was lent
        assert after.periods - before.periods >= 5

        def stopped():
            # other work of the machine may leave it less than its tenth
            get(f"{running.endpoints.candidate}/v2/spin?0.05", HUNG)
            return running.cpu_usage("candidate").throttled_periods > before.throttled_periods

        eventually(stopped)
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
            answer = get(f"{url}/api/v1/query?query=up", HUNG)
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
            assert get(f"{running.endpoints.gateway}/v2/echo", HUNG).status == 200


def test_a_preferred_port_that_is_free_is_taken(tmp_path, mark):
    # kept from everybody else meanwhile: only who listens has a port for himself
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        port = kept.getsockname()[1]
        with lab(tmp_path, gateway_port=port) as running:
            assert running.endpoints.gateway == f"http://127.0.0.1:{port}"


# the second as Envoy, which stays where only its listen came too late
@pytest.mark.parametrize("how", ["port-in-use", "cannot-listen"])
def test_a_port_that_somebody_takes_in_between_gets_another_try(tmp_path, mark, how):
    with lab(tmp_path, starts={"candidate": how}) as running:
        assert get(f"{running.endpoints.candidate}/v2/echo", HUNG).status == 200
    assert_nothing_is_left(mark, os.getpid())


def test_two_labs_run_side_by_side(tmp_path, mark):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with lab(tmp_path / "a") as first, lab(tmp_path / "b") as second:
        split(first, 100)
        split(second, 0)
        for running in (first, second):
            assert get(f"{running.endpoints.gateway}/v2/echo", HUNG).status == 200
        assert [requests(running.endpoints.candidate) for running in (first, second)] == [1, 0]


@pytest.mark.parametrize(
    ("start", "message", "log"),
    [
        # it ends while it starts
        ("crash", "it ended with exit code 1", "its model is broken"),
        # it never becomes ready
        ("never-ready", "it was not ready within 60 s", "not ready, as it was told"),
    ],
)
def test_a_failed_start_names_the_service_and_leaves_nothing(tmp_path, mark, start, message, log):
    def clock():
        # time passes only once the candidate has been asked, and said no
        said = tmp_path / "lab" / "candidate.log"
        return 1000.0 if said.exists() and "not ready" in said.read_text() else 0.0

    options = {"start_seconds": 60.0, "clock": clock}
    with (
        pytest.raises(StartError, match=f"candidate did not start: {message}") as caught,
        lab(tmp_path, cpus=0.5, starts={"candidate": start}, **options),
    ):
        pass
    assert log in caught.value.log[-1]
    assert_nothing_is_left(mark, os.getpid())


@pytest.mark.parametrize("service", ["candidate", "gateway"])
def test_a_service_that_dies_is_named_with_its_log_and_nothing_is_left(tmp_path, mark, service):
    def run():
        with lab(tmp_path, cpus=0.5) as running:
            if service == "candidate":
                get(f"{running.endpoints.candidate}/v2/crash", HUNG)
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
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from loadtest.lab.interface import Version
from loadtest.lab.local.lab import LocalLab
versions = tuple(Version(role, Path({folder!r}) / role, 0.5, None) for role in ("stable", "candidate"))
with LocalLab(versions, Path({folder!r}) / "lab", "shop", gateway_port=0, server={server!r}) as lab:
    print("up", flush=True)
    {then}
    sys.stdin.read()
"""


def run_script(tmp_path, then="", announced=""):
    """The lab in a process of its own, which waits until it is ended."""
    script = SCRIPT.format(root=str(ROOT), folder=str(tmp_path), server=SERVER, then=then)
    # the script says so itself when the lab begins to start
    script = script.replace("with LocalLab", f"{announced}\nwith LocalLab")
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def assert_it_goes_and_leaves_nothing(process, mark):
    process.wait(timeout=HUNG)
    process.stdout.close()
    process.stdin.close()
    eventually(lambda: not marked(mark) and not cgroups_of(process.pid))


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
    process = run_script(tmp_path, then)
    assert process.stdout.readline() == "up\n"
    if how is not None:
        process.send_signal(how)
    assert_it_goes_and_leaves_nothing(process, mark)


@pytest.mark.parametrize("reached", [None, "stable.log", "candidate.log", "routes/state.json", "gateway.log"])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_end_while_it_starts_leaves_nothing(tmp_path, mark, how, reached):
    versions(tmp_path)
    process = run_script(tmp_path, announced="print('go', flush=True)")
    assert process.stdout.readline() == "go\n"
    eventually(lambda: reached is None or (tmp_path / "lab" / reached).exists())
    process.send_signal(how)
    assert_it_goes_and_leaves_nothing(process, mark)


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
        with pytest.raises(ServiceDied, match="load generator ended with exit code 1") as caught:
            running.check()
        assert caught.value.log == ("no row could be sent",)


def test_a_load_that_is_forgotten_goes_with_the_lab(tmp_path, mark, job):
    with lab(tmp_path, load=load("endless")) as running:
        running.launch_load(job)
    assert_nothing_is_left(mark, os.getpid())
