import sys
from pathlib import Path

from benchmarks.load.run import command


def test_the_command_line():
    base = [sys.executable, "-m", "loadtest.load", "--job", "/job", "--host", "http://x"]
    assert command(Path("/job"), "http://x") == base
    assert command(Path("/job"), "http://x", 3) == [*base, "--workers", "3"]
