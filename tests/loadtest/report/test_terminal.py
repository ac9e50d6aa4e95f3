import io
from dataclasses import replace

import pytest
from rich.console import Console

from loadtest.judge.live_view import LiveView
from loadtest.judge.verdict import GateResult, SliceSearch, Word, WorseSlice
from loadtest.report.number_format import drawn
from loadtest.report.terminal import TerminalProgress, gates_line, print_verdict, progress_line

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


def test_the_worst_slice_is_one_line(verdict):
    found = tuple(
        WorseSlice(name=name, rows=120, stable=0.9, candidate=0.6, worse=40, better=2, chance=1e-6)
        for name in ("segment=new", "age < 30")
    )
    # the same slice, by another metric, is no slice more
    found += (found[0].model_copy(update={"metric": "log_loss"}),)
    console = written()
    search = SliceSearch(slices=3400, rows=900, found=found, more=3)
    print_verdict(console, verdict.model_copy(update={"worse_slices": search}), None)
    (line,) = [line for line in console.file.getvalue().splitlines() if "is worse where" in line]
    assert line == (
        "the candidate is worse where segment=new and 4 more slices: accuracy 90.0% → 60.0% on 120 rows, "
        "found among 3,400 slices; see report.html"
    )


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


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            {"workers": {"joined": 1, "expected": 2, "at": "lab:1", "start": "loadproof worker"}},
            "1 of 2 workers have joined at lab:1; on every other machine: loadproof worker",
        ),
        # nobody is to be started any more
        (
            {"workers": {"joined": 2, "expected": 2, "at": "lab:1", "start": "loadproof worker"}},
            "2 of 2 workers have joined at lab:1",
        ),
        (
            {"clocks": {"0": 120.2, "3": -7.0}},
            (
                "clocks differ from this machine's, and no time was taken from them: "
                "worker 0's is 120 s ahead, worker 3's is 7 s behind"
            ),
        ),
    ],
)
def test_what_workers_on_other_machines_do_is_a_step_of_its_own(event, line):
    console = written()
    TerminalProgress(console).tick(event, None)
    assert console.file.getvalue() == f"• {line}\n"


def test_without_a_terminal_progress_is_a_plain_line_every_ten_seconds():
    console = written()
    progress = TerminalProgress(console)
    for elapsed in range(25):
        progress.tick({**EVENT, "elapsed": float(elapsed)}, None)
    assert len(console.file.getvalue().splitlines()) == 3


def test_without_a_terminal_there_is_no_line_of_nothing_and_no_gates_twice():
    console = written()
    progress = TerminalProgress(console)
    later = replace(VIEW, elapsed=50.0)
    for elapsed, done, view in [
        # not answered yet, and of a server that never answers a line per ten seconds
        (0.0, 0, None), (1.0, 0, None), (10.0, 0, None), (20.0, 8, VIEW),
        # analysed again, and as before
        (30.0, 9, later), (40.0, 9, replace(later, gates=VIEW.gates[1:])),
    ]:  # fmt: skip
        progress.tick({**EVENT, "elapsed": elapsed, "done": done}, view)
    lines = console.file.getvalue().splitlines()
    assert [line.partition(" s")[0].strip() for line in lines] == ["10", "20", "42", "30", "40", "50"]


VIEW = LiveView(
    elapsed=42.0,
    decided=False,
    gates=(
        GateResult(
            name="p95 <= stable + 10%", verdict=Word.INCONCLUSIVE, stable=20.0, candidate=21.0, estimate=5.0,
            interval=(-2.0, 12.0), margin=10.0, unit="%", confidence=0.95, reason="",
        ),
        GateResult(
            name="accuracy[segment=new] >= stable - 1pp", verdict=Word.PASS, stable=50.0, candidate=50.0,
            estimate=0.0, interval=(-0.5, 0.5), margin=-1.0, unit="pp", confidence=0.95, reason="",
        ),
        GateResult(
            name="mismatches == 0", verdict=Word.INCONCLUSIVE, stable=None, candidate=None, estimate=None,
            interval=(None, None), margin=0.0, unit="", confidence=0.95, reason="",
        ),
    ),
)  # fmt: skip


def test_the_gates_in_one_line_show_what_is_open():
    assert gates_line(VIEW) == (
        "   42 s  │ gates: … p95 −2.00% to +12.00% of +10.00%, ✓ accuracy[segment=new], … mismatches"
    )


def test_the_gates_follow_the_progress_line():
    console = written()
    progress = TerminalProgress(console)
    progress.tick({**EVENT, "elapsed": 0.0}, None)
    progress.tick({**EVENT, "elapsed": 10.0}, VIEW)
    assert [line.count("gates:") for line in console.file.getvalue().splitlines()] == [0, 0, 1]


def test_on_a_terminal_the_gates_are_a_table_with_their_intervals_drawn():
    console = Console(file=io.StringIO(), width=120, force_terminal=True, highlight=False)
    progress = TerminalProgress(console)
    progress.tick(EVENT, VIEW)
    progress.close()
    text = console.file.getvalue()
    assert "p95 <= stable + 10%" in text
    assert "−2.00% to +12.00%" in text
    assert "●" in text


@pytest.mark.parametrize(
    ("estimate", "interval", "drawing"),
    [
        # the limit, +10%, is in the middle; zero is five places to its left
        (6.0, (-2.0, 12.0), "    ────●─┃─         "),
        # shown to be within, and beyond
        (0.0, (-2.0, 2.0), "    ─●─   │          "),
        (16.0, (14.0, 18.0), "          │ ─●─      "),
        # ends out of sight, or unknown
        (6.0, (-100.0, 14.0), "◂───────●─┃──        "),
        (6.0, (None, None), "◂───────●─┃─────────▸"),
        # nothing is known yet
        (None, (None, None), ""),
    ],
)
def test_an_interval_is_drawn_against_its_limit(estimate, interval, drawing):
    gate = VIEW.gates[0].model_copy(update={"estimate": estimate, "interval": interval})
    assert drawn(gate, width=21) == drawing
