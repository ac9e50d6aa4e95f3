import sys

from benchmarks.judging.cost import measure


def test_a_command_answers_for_its_own_memory_alone():
    held = b"x" * 200_000_000  # what made the run is far larger than what judges it
    cost = measure([sys.executable, "-c", "import sys; sys.exit(3)"])
    assert len(held) / 1e6 > 2 * cost.megabytes > 0
    assert cost.code == 3


def test_what_it_takes_itself_is_counted():
    assert measure([sys.executable, "-c", "b'x' * 200_000_000; print('no number')"]).megabytes > 200
