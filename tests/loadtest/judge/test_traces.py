"""Which traces a run's slowest and mismatched requests are of, in verdict.json and in the report."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.data.trace_context import TraceContext
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.judge.judge import judge
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.slow_requests import MOST_SLOW
from loadtest.judge.traces import Traces
from loadtest.report.html import to_html
from tests.loadtest.made_samples import Sample, sample_set

RUN, ROWS = "1f6a20c1b7d4", 30
SLOW, CHANGED = 12, 7
"""Rows: the candidate is slow on one, and does not match on the other."""


def made(*, trace=True, run=RUN, **load):
    samples = [
        Sample(
            row, role, row / 10, row / 10, row / 10 + (0.5 if (row, role) == (SLOW, "candidate") else 0.01),
            200, None, "a", True, (row, role) != (CHANGED, "candidate"), row % 2,
            f"{RUN}-1-9" if (row, role) == (CHANGED, "candidate") else None, None,
        )
        for row in range(ROWS)
        for role in ("stable", "candidate")
    ]  # fmt: skip
    dataset = Dataset(
        Path("rows"), np.zeros((ROWS, 1)), ("x",), np.full(ROWS, "a"), None, pa.table({"x": np.zeros(ROWS)})
    )
    facts = LoadFacts(offered_rps=10, achieved_rps=10, duration_s=3.0, run=run, **load)
    experiment = Experiment.load_file("compare", {"load": {"trace": trace}}, gates=["mismatches == 0"])
    return Run.gather(experiment, dataset, sample_set(samples), RunFacts(backend="local", load=facts))


def sent(row, role):
    """The trace id that a request carried."""
    return TraceContext(RUN).ids(row % 2, row, row / 10, role).trace_id


def test_the_verdict_names_the_slowest_and_the_mismatched():
    versions = judge(made()).versions
    slowest = versions[Role.CANDIDATE].slowest
    assert len(slowest) == MOST_SLOW
    assert (slowest[0].trace_id, slowest[0].row) == (sent(SLOW, 1), SLOW)
    assert slowest[0].latency_ms == pytest.approx(500)
    assert versions[Role.CANDIDATE].mismatch_traces == (sent(CHANGED, 1),)
    assert versions[Role.STABLE].mismatch_traces == ()


@pytest.mark.parametrize(
    "untraced",
    [
        {"trace": False},
        # of a load generator that did not write what names its requests
        {"run": None},
    ],
)
def test_a_run_without_trace_contexts_names_none(untraced):
    run = made(**untraced)
    verdict = judge(run)
    assert all(not v.slowest and not v.mismatch_traces for v in verdict.versions.values())
    assert "trace id" not in to_html(verdict, run, {}, lambda _: [])


def test_the_report_shows_them():
    run = made()
    page = to_html(judge(run), run, {}, lambda _: [])
    slowest = page[page.index("<h2>Slowest requests</h2>") :]
    assert f"<code>{sent(SLOW, 1)}</code>" in slowest
    mismatches = page[page.index("<h2>Mismatches</h2>") : page.index("<h2>Slowest requests</h2>")]
    assert f"<code>{RUN}-1-9</code></td><td><code>{sent(CHANGED, 1)}</code>" in mismatches


def test_samples_that_were_moved_behind_another_load_keep_their_ids():
    moved, zero = 60.123456789, 1_700_000_000.0
    times = [0.05, 1.25, 59.9]
    samples = sample_set(
        Sample(row, "candidate", at + by, at + by, at + by + 0.01, 200, None, "a", True, True, 0)
        for by in (0.0, moved)
        for row, at in enumerate(times)
    )
    part = {"offered_rps": 1, "achieved_rps": 1, "duration_s": 60.0}
    facts = LoadFacts(
        **part | {"duration_s": 120.0},
        restarts=[
            part | {"begins_s": 0.0, "run": "first", "began_at": zero},
            part | {"begins_s": moved, "moved_s": moved, "run": "second", "began_at": zero + 300},
        ],
    )
    load = Experiment.load_file("compare", {"load": {"trace": True}}).load
    traces = Traces.of(load, facts, samples)
    expected = [
        TraceContext(run).ids(0, row, at, 1) for run in ("first", "second") for row, at in enumerate(times)
    ]
    assert [traces.ids(place) for place in range(6)] == expected
    assert [traces.zero(place) for place in (0, 3)] == [zero, zero + 300 - moved]
