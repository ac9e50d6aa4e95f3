import subprocess
import sys
from pathlib import Path

from loadtest.load.run import command


def test_the_command_line():
    base = [sys.executable, "-m", "loadtest.load", "--job", "/job", "--host", "http://x"]
    assert command(Path("/job"), "http://x") == base
    assert command(Path("/job"), "http://x", 3) == [*base, "--workers", "3"]


def test_nothing_that_flows_may_import_patches_the_interpreter():
    # in a process of its own: another test may have imported gevent
    code = "import loadtest.load.run, sys; sys.exit(bool({'locust', 'gevent'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
