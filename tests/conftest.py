"""For all tests: who runs beside whom, and the demo versions.

``make test`` spreads the test files over the cores. A file stays in one process, and so
do all tests on Compose, which share a lab.
"""

import fcntl
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

# a runner started in the background hands down an ignored Ctrl-C, which these tests send for real
signal.signal(signal.SIGINT, signal.default_int_handler)

# what the tests start is on this machine, whatever proxy leads to others
for _name in ("no_proxy", "NO_PROXY"):
    os.environ[_name] = ",".join(filter(None, (os.environ.get(_name), "127.0.0.1", "localhost", "::1")))

ROOT = Path(__file__).parents[1]
SHOP = ROOT / "models" / "shop"
SPREAD = ("tests/integration/test_compare_local.py", "tests/integration/test_load.py")
"""Files whose tests share nothing, so that each may run in another process."""


class Files(LoadScopeScheduling):
    """What stays in one process: a file, and all tests on Compose."""

    def _split_scope(self, nodeid):
        file = nodeid.split("::")[0]
        return "compose" if file.startswith("tests/compose/") else nodeid if file in SPREAD else file


def pytest_xdist_make_scheduler(config, log):
    return Files(config, log)


def pytest_collection_modifyitems(items):
    # images are built beside tests that only reckon
    items.sort(key=_order)


def _order(item):
    return 0 if item.get_closest_marker("compose") else 2 if item.get_closest_marker("integration") else 1


# outside of the time limit of the test
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """Hold the machine: with others, or alone; whoever waits to be alone lets nobody else in before."""
    locks = item.config.cache.mkdir("machine")
    with locked(locks / "door", fcntl.LOCK_EX) as door:
        how = fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH
        with locked(locks / "room", how):
            fcntl.flock(door, fcntl.LOCK_UN)
            return (yield)


@contextmanager
def locked(path, how):
    with path.open("w") as file:
        fcntl.flock(file, how)
        try:
            yield file
        finally:
            # a child that was forked may hold the file, but not the lock
            fcntl.flock(file, fcntl.LOCK_UN)


@pytest.fixture(scope="session")
def shop(pytestconfig):
    """The folder of the demo versions, trained once."""
    with locked(pytestconfig.cache.mkdir("machine") / "shop", fcntl.LOCK_EX):
        subprocess.run([sys.executable, "-m", "services.trainer", "shop", "--out", str(SHOP)], check=True)
    return SHOP
