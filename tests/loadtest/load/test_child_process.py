import os
import subprocess
import sys

from loadtest.load.child_process import lives


def test_a_child_lives_until_it_has_ended_and_one_that_was_forgotten_does_not():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert lives(child.pid)
    child.communicate(b"\n")
    assert not lives(child.pid)
    # as a child that is nobody's any more
    assert not lives(os.getppid())
