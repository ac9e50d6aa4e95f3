"""For all tests: who runs beside whom, and the demo versions.

``make test`` spreads the test files over more workers than cores. A file stays in one process, and so do the
tests of each of the two labs on Compose. What takes long begins first, so that no core is idle at the end.
"""

import atexit
import contextlib
import gc
import importlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests.locks import locked

# a runner started in the background hands down an ignored Ctrl-C, which these tests send for real
signal.signal(signal.SIGINT, signal.default_int_handler)

# what another run of the tests was killed beside, no command of this one speaks of
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    os.environ["TMPDIR"] = tempfile.mkdtemp(prefix="loadproof-tests-")
    tempfile.tempdir = None
    atexit.register(shutil.rmtree, os.environ["TMPDIR"], ignore_errors=True)

# whatever the tests ask for is on this machine, and a proxy is not asked for it
for name in ("no_proxy", "NO_PROXY"):
    os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1", "localhost", "::1")))

# hundreds of processes begin here, and each would compile the source anew
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# what is imported and collected stays to the end: looking for garbage in it takes a third of that time
gc.disable()

# threads that wait for each other spin, and these tests already keep every core busy
os.environ.setdefault("OMP_NUM_THREADS", "1")

# an example that takes long says something of the machine only; the same examples each time, so that a change
# is never red by another's chance find: search with --hypothesis-profile=search
_patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", _patient, max_examples=2000)
settings.register_profile("any machine", _patient, derandomize=True)
settings.load_profile("any machine")

ROOT = Path(__file__).parents[1]
SHOP = ROOT / "models" / "shop"
SPREAD = (
    "tests/attacks/test_servers.py",
    "tests/integration/test_compare_local.py",
    "tests/integration/test_load.py",
)
"""Files whose tests share nothing, so that each may run in another process."""

TOGETHER = {
    "tests/compose/test_canary.py": "compose up",
    "tests/compose/test_canary_controller.py": "compose up",
    "tests/compose/test_images.py": "compose up",
    "tests/compose/test_stack.py": "compose up",
    "tests/compose/test_canary_faults.py": "a lab on Compose",
    "tests/compose/test_compose_lab.py": "a lab on Compose",
}
"""Files whose tests share what is started once, so that they stay in one process."""

FIRST = ("tests/compose/test_swarm.py", "tests/integration/test_compare_local.py")
"""The first builds the images, and no lab on Compose may run beside it; the second keeps the others busy."""


class Files(LoadScopeScheduling):
    """What stays in one process: a file, or several."""

    def _split_scope(self, nodeid):
        return _scope(nodeid)


def _scope(nodeid):
    file = nodeid.split("::")[0]
    return nodeid if file in SPREAD else TOGETHER.get(file, file)


def pytest_collection(session):
    """Each worker begins to import at another file, so that what one compiles the others need not."""
    worker, count = (os.environ.get(f"PYTEST_XDIST_WORKER{end}") for end in ("", "_COUNT"))
    if not worker:
        return
    files = [file for folder in session.config.args for file in sorted(Path(folder).rglob("test_*.py"))]
    begin = len(files) * int(worker.removeprefix("gw")) // int(count)
    for file in files[begin:] + files[:begin]:
        # what is wrong or missing there is said when it is collected
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(file.resolve().relative_to(ROOT).with_suffix("").parts))


def pytest_xdist_make_scheduler(config, log):
    return Files(config, log)


def pytest_xdist_auto_num_workers(config):
    """Three workers per core that this process may use, and four more than cores at most: most tests wait."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 2 if cores == 1 else min(3 * cores, cores + 4)


def pytest_collection_modifyitems(items):
    """What takes long begins first, and what waits beside what keeps a core busy."""
    scopes = {}
    for item in items:
        scopes.setdefault(_scope(item.nodeid), []).append(item)
    first = [scope for file in FIRST for scope in scopes if scope.split("::")[0] == file]
    containers, processes, short = [], [], []
    for scope, (item, *_) in scopes.items():
        if scope in first:
            continue
        if item.get_closest_marker("compose"):
            containers.append(scope)
        elif item.get_closest_marker("integration"):
            processes.append(scope)
        else:
            short.append(scope)
    waiting = [*first, *_among(containers, processes, 2)]
    # a third of what is short stays for the end, where it fills every worker
    count = len(short) * 2 // 3 // (len(waiting) or 1)
    items[:] = [item for scope in _among(waiting, short, count) for item in scopes[scope]]


def _among(scopes, others, count):
    """``count`` of the others after each of the scopes, and what is left of them at the end."""
    rest = iter(others)
    return [one for scope in scopes for one in (scope, *itertools.islice(rest, count))] + list(rest)


def pytest_collection_finish():
    """From here on garbage is looked for, but not in what was collected."""
    gc.freeze()
    gc.enable()


def pytest_terminal_summary(terminalreporter):
    """Say what was skipped in a line per reason."""
    skipped = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()))
    for reason, tests in skipped.items():
        terminalreporter.line(f"{tests} skipped: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def shop(pytestconfig):
    """The folder of the demo versions, trained once."""
    with locked(pytestconfig.cache.mkdir("machine") / "shop"):
        subprocess.run([sys.executable, "-m", "services.trainer", "shop", "--out", str(SHOP)], check=True)
    return SHOP
