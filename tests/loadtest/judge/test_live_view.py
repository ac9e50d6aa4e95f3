"""The live view: fed as samples come, in the order in which answers come, which is not that of arrivals."""

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from loadtest.data.samples import SampleSet
from loadtest.judge.live_view import LiveJudge, LiveView
from loadtest.judge.verdict import Word
from tests.loadtest.judge.test_interim import LONG, decided, until_decided
from tests.loadtest.judge.test_judge import DEFAULT, Arm, Run

SHORT = replace(LONG, seconds=50.0, arrivals=2_500)


def feed(run: Run, *, until: bool = True, samples: SampleSet | None = None) -> Iterator[LiveView]:
    """Once a second what was answered in that second, for as long as it is asked for."""
    judge = LiveJudge(until_decided(run) if until else run.experiment(), run.dataset())
    samples = samples or run.samples()
    second = samples.done_at.astype(int)
    views = (judge.feed(samples.where(second == now)) for now in range(int(run.seconds) + 3))
    return (view for view in views if view is not None)


@pytest.mark.parametrize(
    "run",
    [
        LONG,
        replace(LONG, candidate=Arm(accuracy=0.7)),
        replace(LONG, candidate=Arm(slower=0.2)),
        replace(LONG, candidate=Arm(errors=0.3)),
        replace(LONG, traffic="canary", gates=DEFAULT[:4]),
    ],
    ids=["same", "wrong", "slow", "errors", "canary"],
)
def test_the_stored_run_is_judged_as_the_live_one_was(run):
    view = next(view for view in feed(run) if view.decided)
    verdict = decided(run)
    assert verdict.decided_after_s == view.elapsed
    assert verdict.gates == view.gates


def test_answers_that_are_late_are_waited_for():
    # the slow tenth takes 1.5 s: an analysis of what has come would not see the newest of them
    run = replace(SHORT, gates=("p95 <= stable + 25ms",))
    samples = run.samples()
    done = samples.done_at.copy()
    done[samples.is_role("candidate") & (np.arange(len(samples)) % 10 == 0)] += 1.5
    column = samples.table.schema.get_field_index("done_at")
    late = SampleSet(samples.table.set_column(column, samples.table.schema.field(column), [done]))
    stored = decided(run, late)
    views = list(feed(run, samples=late))
    assert views[-1].gates[0].verdict is Word.FAIL
    assert next(view for view in views if view.decided).elapsed == stored.decided_after_s


def test_an_analysis_waits_for_the_slowest_worker():
    samples = SHORT.samples()
    judge = LiveJudge(until_decided(SHORT), SHORT.dataset())
    early = samples.where(samples.done_at < 20)
    column = samples.table.schema.get_field_index("worker")
    second = early.table.set_column(
        column, samples.table.schema.field(column), [np.ones(len(early), np.int16)]
    )
    assert judge.feed(SampleSet(second.slice(0, 1))) is None
    # worker 0 is far ahead, worker 1 has told of one answer only
    assert judge.feed(samples.where(samples.done_at < 40)) is None


def test_the_view_of_a_run_that_is_judged_at_its_end_follows_the_evidence():
    # shown to be equal at first, then not
    run = replace(LONG, candidate=Arm(burst=(70.0, 120.0)), gates=("p90 <= stable + 25ms",))
    words = [view.gates[0].verdict for view in feed(run, until=False)]
    assert Word.PASS in words
    assert words[-1] is not Word.PASS
    # one that ends when it is decided had its answer
    *_, last = feed(run)
    assert last.gates[0].verdict is Word.PASS


def test_intervals_close_in():
    views = list(feed(replace(SHORT, gates=("accuracy >= stable",))))
    width = [high - low for low, high in (view.gates[0].interval for view in views[1:])]
    assert width[-1] < width[len(width) // 2] < width[0]


def test_the_event_is_json_and_names_open_gates():
    view = next(feed(replace(SHORT, gates=("mismatches == 0", "accuracy >= stable", "memory <= 1g"))))
    event = json.loads(json.dumps(view.event(), allow_nan=False))
    assert event["elapsed"] == 1.0
    assert event["decided"] is False
    assert [gate["verdict"] for gate in event["gates"]] == ["open"] * 3
    assert event["gates"][0]["reason"] == "within the bound so far; only the end of the run can pass it"
    assert event["gates"][2]["reason"] == "read at the end of the run"
    assert set(event["gates"][1]) == {
        "name", "verdict", "estimate", "interval", "margin", "unit", "reason",
    }  # fmt: skip


def test_rows_of_another_evaluation_set_are_no_evidence():
    judge = LiveJudge(SHORT.experiment(), replace(SHORT, rows=10).dataset())
    assert judge.feed(SHORT.samples()) is None
