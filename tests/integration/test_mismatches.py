"""A server that mixes up or breaks answers only under load is caught, by the ids of the requests."""

import json

import pytest

from benchmarks.load.run import launch
from loadtest.data.samples import SampleSet
from loadtest.errors import ExitCode
from loadtest.judge.verdict import Word
from loadtest.workflows.stored_run import judge_run, open_run

pytestmark = pytest.mark.integration


def measure(folder, server, workers=1):
    process = launch(folder, server.url, workers)
    events = [json.loads(line) for line in process.lines()]
    assert process.wait() == ExitCode.PASS, (folder / "load.log").read_text()
    return (
        events,
        SampleSet.read(folder / "samples.parquet"),
        judge_run(open_run(folder), ["mismatches == 0"]),
    )


def test_swapped_answers_are_named(double, job):
    # 20 rows twice before the load, about 50 in its warm-up: the 200th and the 400th are measured
    folder = job(rows=40, rate=100, duration=4, baseline=60)
    with double(delays=[0.03], swap_every=200) as server:
        events, samples, verdict = measure(folder, server)
        swapped = server.seen()["swapped"]
    assert len(swapped) == 4
    halves = [event["baseline"] for event in events if "baseline" in event]
    assert {(half["when"], half["rows"]) for half in halves} == {("before", 2 * 20), ("after", 2 * 20)}
    assert sorted(samples.table.filter(samples.mismatch)["request_id"].to_pylist()) == sorted(swapped)
    assert (verdict.verdict, verdict.versions["candidate"].mismatches) == (Word.FAIL, 4)
    assert set(verdict.versions["candidate"].mismatch_ids) == set(swapped)
    assert all(request_id in verdict.reason for request_id in swapped)
    assert verdict.versions["stable"].mismatches == 0


def test_broken_answers_are_named_too_and_workers_know_the_baseline_answers(double, job):
    folder = job(rows=50, rate=100, baseline=60)
    with double(delays=[0.03], swap_every=200, cut_every=11) as server:
        _, samples, verdict = measure(folder, server, workers=2)
        swapped = server.seen()["swapped"]
    table = samples.table.filter(samples.mismatch)
    errors = dict(zip(table["request_id"].to_pylist(), table["error"].to_pylist(), strict=True))
    assert set(errors.values()) == {None, "truncated answer"}
    assert {request_id for request_id, error in errors.items() if error is None} <= set(swapped)
    assert set(table["worker"].to_pylist()) == {0, 1}
    assert verdict.verdict is Word.FAIL
    assert "an unreadable answer instead of" in verdict.reason
