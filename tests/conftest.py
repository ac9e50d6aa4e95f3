"""For all tests: who runs beside whom, and the demo versions.

``make test`` spreads the test files over the cores. A file stays in one process unless it is marked
``spread``, and so do all tests on Compose, which share a lab.
"""

import fcntl
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

# a runner started in the background hands down an ignored Ctrl-C, which these tests send for real
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[1]
SHOP = ROOT / "models" / "shop"


# before xdist reads the groups
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if not item.get_closest_marker("spread"):
            group = "compose" if item.get_closest_marker("compose") else str(item.path.relative_to(ROOT))
            item.add_marker(pytest.mark.xdist_group(group))
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
