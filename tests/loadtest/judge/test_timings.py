"""Where the time of requests went, in verdict.json, the report and the terminal."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.judge.judge import judge
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.slow_requests import MOST_SLOW
from loadtest.report.html import to_html
from loadtest.report.terminal import timing_table
from tests.loadtest.made_samples import Sample, sample_set

ROWS, SLOW = 101, 12


def timings(row, role):
    """Milliseconds 0 to 100 of waiting, by the row; a connection is opened for two of stable's requests."""
    connect = 0.002 if (row < 2, role) == (True, "stable") else None
    return [None, connect, None, 0.0, row / 1000, 0.25 if (row, role) == (SLOW, "candidate") else 0.0]


def made(*, timed=True, rows=1):
    samples = [
        Sample(
            row, role, row / 10, row / 10, row / 10 + 0.5, 200, None, "a", True, None, 0,
            timings=timings(row, role) if timed else None,
            place=place if rows > 1 else None, request_rows=rows if rows > 1 else None,
        )
        for row in range(ROWS)
        for role in ("stable", "candidate")
        for place in range(rows)
    ]  # fmt: skip
    samples = [s._replace(row=(s.row + (s.place or 0)) % ROWS) for s in samples]
    samples = [s._replace(done_at=s.done_at + 0.25 * (s.timings[5] > 0 if timed else 0)) for s in samples]
    dataset = Dataset(
        Path("rows"), np.zeros((ROWS, 1)), ("x",), np.full(ROWS, "a"), None, pa.table({"x": np.zeros(ROWS)})
    )
    facts = LoadFacts(offered_rps=10, achieved_rps=10, duration_s=10.0)
    load = {"timings": timed, "rows_per_request": rows}
    experiment = Experiment.load_file("compare", {"load": load}, gates=["error_rate <= 1%"])
    return Run.gather(experiment, dataset, sample_set(samples), RunFacts(backend="local", load=facts))


# a request of several rows counts once
@pytest.mark.parametrize("rows", [1, 3])
def test_the_verdict_has_the_quantiles_of_each_part_and_those_of_the_slowest(rows):
    versions = judge(made(rows=rows)).versions
    stable, candidate = versions[Role.STABLE], versions[Role.CANDIDATE]
    assert {name: part.requests for name, part in stable.timings.items()} == {
        "connect": 2, "send": ROWS, "wait": ROWS, "receive": ROWS,
    }  # fmt: skip
    assert "connect" not in candidate.timings
    wait = stable.timings["wait"]
    assert (wait.p50, wait.p95, wait.p99) == pytest.approx((50, 95, 99))
    assert len(candidate.slowest) == len({slow.row for slow in candidate.slowest}) == MOST_SLOW
    slow = candidate.slowest[0]
    assert (slow.row, slow.trace_id, slow.latency_ms) == (SLOW, None, pytest.approx(750))
    assert slow.timings_ms == pytest.approx({"send": 0.0, "wait": 12, "receive": 250})


def test_the_report_and_the_terminal_show_them():
    run = made()
    verdict = judge(run)
    page = to_html(verdict, run, {}, lambda _: [])
    went = page[page.index("<h2>Where the time went</h2>") : page.index("<h2>Slowest requests</h2>")]
    assert '<th>wait</th><td class="n">101</td><td class="n">50.0 ms · 95.0 ms · 99.0 ms</td>' in went
    # nobody opened a connection to the candidate
    assert went.count('<td class="n">0</td><td class="n">–</td>') == 1
    assert "tls" not in went
    slowest = page[page.index("<h2>Slowest requests</h2>") :]
    assert "trace id" not in page
    assert '<th class="n">wait</th><th class="n">receive</th><th>error</th>' in slowest
    assert '<td class="n">12.0 ms</td><td class="n">250.0 ms</td><td>–</td>' in slowest
    parts, stable, candidate = (list(column.cells) for column in timing_table(verdict).columns)
    assert parts == ["connect", "send", "wait", "receive"]
    assert stable[2] == candidate[2] == "50.0 ms · 95.0 ms · 99.0 ms"
    assert candidate[0] == "–"


def test_a_run_that_did_not_record_them_shows_none():
    run = made(timed=False)
    verdict = judge(run)
    assert not any(version.timings or version.slowest for version in verdict.versions.values())
    assert "Where the time went" not in to_html(verdict, run, {}, lambda _: [])
