import re

import numpy as np
import pytest

from loadtest.judge.outcomes import Outcomes, one_row_each
from loadtest.judge.paired_outcomes import Evidence
from loadtest.judge.slices import Slice
from loadtest.judge.verdict import GateResult, Word
from loadtest.report.charts import figures, gate_strip, slice_strips
from loadtest.report.sections import Sections


def outcomes(latency, at, failed=None):
    import pyarrow as pa

    n = len(at)
    no = np.zeros(n, bool)
    return Outcomes(
        row=np.arange(n, dtype=np.int32), scheduled_at=at, latency=latency,
        failed=no if failed is None else failed,
        correct=~no, mismatch=no, compared=no, prediction=pa.nulls(n, pa.string()),
        request_id=pa.nulls(n, pa.string()), baseline=pa.nulls(n, pa.string()),
        asked_before=np.full(n, -1, dtype=np.int8),
        scores=pa.nulls(n, pa.list_(pa.float32())),
        ranking=pa.nulls(n, pa.list_(pa.string())),
        size=one_row_each(n),
        outputs=pa.nulls(n, pa.list_(pa.float64())),
    )  # fmt: skip


def evidence(seconds=60.0, rate=50, slower=1.5, **candidate) -> Evidence:
    rng = np.random.default_rng(1)
    at = np.sort(rng.uniform(0, seconds, int(rate * seconds)))
    latency = rng.lognormal(-4, 0.5, len(at))
    return Evidence(outcomes(latency, at), outcomes(slower * latency, at, **candidate), True, 0, seconds)


def drawn(found: Evidence) -> dict[str, str]:
    return {figure.title: figure.chart for figure in figures(found, 0.25, 0.05, Sections())}


def lines(chart: str, kind: str) -> list[np.ndarray]:
    found = re.findall(rf'<polyline class="{kind}" points="([^"]*)"', chart)
    return [np.array([point.split(",") for point in line.split()], float) for line in found]


def test_both_versions_are_drawn_and_the_slower_one_lies_to_the_right():
    chart = drawn(evidence())["Latency"]
    (stable,), (candidate,) = lines(chart, "stable"), lines(chart, "candidate")
    assert len(stable) == len(candidate) > 100
    assert (candidate[1:, 0] > stable[1:, 0]).all()
    assert chart.count('class="dot') == 6
    assert "objective" in chart


def test_the_shift_is_above_zero_for_a_slower_candidate():
    chart = drawn(evidence())["Shift of latency"]
    zero = float(re.search(r'class="zero" [^>]*y1="([\d.]+)"', chart)[1])
    (line,) = lines(chart, "candidate")
    assert (line[:, 1] < zero).all()  # up is a smaller y
    assert 'class="band candidate"' in chart


# too short for blocks, and too few samples for two quantiles
@pytest.mark.parametrize("found", [evidence(seconds=10), evidence(seconds=40, rate=0.4)])
def test_no_shift_without_evidence(found):
    assert "Shift of latency" not in drawn(found)
    assert "Latency" in drawn(found)


def test_a_stall_stands_out_over_time():
    found = evidence(slower=1.0)
    late = (found.stable.scheduled_at > 30) & (found.stable.scheduled_at < 31)
    found.candidate.latency[late] = 31.5 - found.candidate.scheduled_at[late]
    chart = drawn(found)["Latency over time"]
    (stable,), (candidate,) = lines(chart, "faint stable"), lines(chart, "faint candidate")
    assert int(np.argmin(candidate[:, 1])) == 30
    assert candidate[30, 1] < stable[:, 1].min()


def test_errors_are_bars_where_they_happened():
    failed = np.zeros(3000, bool)
    failed[1500:1510] = True
    figure = next(
        f
        for f in figures(evidence(failed=failed), 0.25, 0.05, Sections())
        if f.title == "Throughput and errors"
    )
    assert "10 errors" in figure.caption
    bars = [float(x) for x in re.findall(r'<rect class="error candidate" x="([\d.]+)"', figure.chart)]
    assert 1 <= len(bars) <= 2
    assert all(240 < x < 290 for x in bars)  # in the middle of the run


def test_no_answers_no_charts():
    empty = outcomes(np.zeros(0), np.zeros(0))
    assert figures(Evidence(empty, empty, True, 0, 1.0), 0.25, 0.05, Sections()) == []


def gate(name, verdict, estimate, interval, margin, unit="ms") -> GateResult:
    return GateResult(
        name=name, verdict=verdict, stable=None, candidate=None, estimate=estimate, interval=interval,
        margin=margin, unit=unit, confidence=0.95, reason="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("result", "inside"),
    [
        (gate("p50 <= stable + 25ms", Word.PASS, 5.0, (4.0, 6.0), 25.0), True),
        (gate("p50 <= stable + 25ms", Word.FAIL, 50.0, (40.0, 60.0), 25.0), False),
        (gate("accuracy >= stable - 1pp", Word.PASS, 5.0, (4.0, 6.0), -1.0, "pp"), True),
        (gate("accuracy >= stable - 1pp", Word.FAIL, -5.0, (-6.0, -4.0), -1.0, "pp"), False),
        (gate("p99 <= 250ms", Word.PASS, 31.0, (25.0, 39.0), 250.0), True),
        # an open end is drawn to the estimate
        (gate("accuracy >= 0.3", Word.PASS, 50.0, (40.0, None), 30.0, "%"), True),
    ],
    ids=lambda value: f"{value.name}, {value.verdict}" if isinstance(value, GateResult) else None,
)
def test_a_gates_interval_lies_on_the_side_that_its_verdict_says(result, inside):
    html = gate_strip(result)
    begin, width = (float(x) for x in re.search(r'"good" x="([\d.]+)".*?width="([\d.]+)"', html).groups())
    low, high = (
        float(x) for x in re.search(rf'class="{result.verdict}" x1="([\d.]+)" x2="([\d.]+)"', html).groups()
    )
    assert (begin <= low <= high <= begin + width) is inside
    assert 0 <= low <= high <= 220


def test_a_gate_without_an_estimate_has_no_strip():
    assert gate_strip(gate("p99 <= 250ms", Word.INCONCLUSIVE, None, (None, None), 250.0)) == ""


def test_slices_share_one_scale():
    strips = slice_strips(
        [Slice("all rows", 100, 1, 0, 2, "pp"), Slice("segment=<new>", 10, -5, -9, -1, "pp")]
    )
    limits = {re.search(r'class="limit" x1="([\d.]+)"', strip)[1] for strip in strips}
    assert len(limits) == 1
    assert "segment=&lt;new&gt;" in strips[1]
    assert slice_strips([]) == []
