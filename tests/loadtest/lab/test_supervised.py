import sys

import pytest

from loadtest.errors import StartError
from loadtest.lab.supervised import run_supervised


@pytest.mark.parametrize(
    ("code", "ended"),
    [
        ("pass", (0, ())),
        # what it prints is nobody's, and what it says of its end is kept
        ("import sys; print('an answer'); sys.exit('no room')", (1, ("no room",))),
        ("import os; os.kill(os.getpid(), 9)", (-9, ())),
        ("import sys; [print(n, file=sys.stderr) for n in range(100)]", (0, tuple(map(str, range(80, 100))))),
    ],
)
def test_how_a_command_ended_and_its_last_words(code, ended):
    assert run_supervised("trainer", [sys.executable, "-c", code]) == ended


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(StartError, match="trainer: cannot run /no/such/program"):
        run_supervised("trainer", ["/no/such/program"])
