"""The memory of a command is its own, whatever the process that measures it holds."""

import sys

from benchmarks.judging.cost import measure

SMALL = "import sys; sys.exit(3)"
LARGE = "held = b'x' * 200_000_000"


def test_the_peak_of_a_command_is_not_that_of_who_starts_it():
    held = bytearray(b"x" * 300_000_000)
    small, large = (measure([sys.executable, "-c", program]) for program in (SMALL, LARGE))
    assert len(held) > 1e6 * small.megabytes
    assert 200 < large.megabytes < 300
    assert (small.code, large.code) == (3, 0)
