import io

import pytest
from rich.console import Console

from loadtest.report.terminal import TerminalProgress, print_verdict, progress_line

EVENT = {
    "elapsed": 12.0,
    "done": 1200,
    "versions": {
        "stable": {"p50": 4.0, "p99": 80.0, "accuracy": 0.5, "errors": 0},
        "candidate": {"p50": None, "p99": None, "accuracy": None, "errors": 3},
    },
}


def written(width: int = 200, **options: object) -> Console:
    return Console(file=io.StringIO(), width=width, **options)


def test_the_last_line_names_the_verdict_and_the_exit_code(verdict):
    console = written()
    print_verdict(console, verdict, "results/x")
    lines = console.file.getvalue().splitlines()
    assert lines[-1] == "✗ FAIL: accuracy is worse (exit code 1)"
    assert "results/x" in lines[-2]


@pytest.mark.parametrize("width", [72, 100, 200])
def test_no_gate_is_cut_in_a_narrow_terminal(verdict, width):
    console = written(width)
    print_verdict(console, verdict, None)
    text = console.file.getvalue()
    assert text.count("PASS") == 1
    assert "+1.00 ms to +3.00 ms" in text
    # in the table, and in the line that says why
    assert text.count("? p99 <= 250ms: because") == 1


def test_progress_line_names_versions_and_errors():
    line = progress_line(EVENT)
    assert "stable: p50 4.00 ms p99 80.0 ms accuracy 50.0%" in line
    assert line.endswith("candidate: p50 – p99 – errors 3")


def test_without_a_terminal_progress_is_a_plain_line_every_ten_seconds():
    console = written()
    progress = TerminalProgress(console)
    for elapsed in range(25):
        progress.tick({**EVENT, "elapsed": float(elapsed)})
    assert len(console.file.getvalue().splitlines()) == 3
