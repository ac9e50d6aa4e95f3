"""Requests of several rows: latency and errors are a request's, quality is a row's."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.samples import SCHEMA, SampleSet
from loadtest.errors import UsageError
from loadtest.judge.judge import judge
from loadtest.judge.live_view import LiveJudge
from loadtest.judge.run import Run as JudgedRun
from tests.loadtest.judge.test_judge import Arm, Run

GATES = (
    *("error_rate <= stable + 1pp", "error_rate <= 5%", "p50 <= stable + 5ms", "p95 <= stable + 10%"),
    *("p99 <= 250ms", "throughput >= stable - 1%", "accuracy >= stable - 1pp", "mismatches == 0"),
)
OF_REQUESTS = 6
"""The first gates."""
ALONE = Run(
    Arm(errors=0.02), Arm(slower=0.002, errors=0.03, accuracy=0.79), arrivals=1500, rows=1500, gates=GATES
)
ROWS = 4


def several(run: Run, rows: int = ROWS) -> JudgedRun:
    """The run, in which each row brings ``rows - 1`` others along, which are answered as it is."""
    dataset = replace(run, rows=rows * run.rows).dataset()
    samples = run.samples().table
    place = pa.array(np.tile(np.arange(rows, dtype=np.int16), len(samples)))
    samples = samples.take(np.repeat(np.arange(len(samples)), rows))
    row = samples["row"].to_numpy() + run.rows * place.to_numpy()
    columns = {"row": row, "place": place, "request_rows": np.full(len(row), rows)}
    for name, column in columns.items():
        field = SCHEMA.field(name)
        samples = samples.set_column(SCHEMA.get_field_index(name), field, pa.array(column).cast(field.type))
    return JudgedRun.gather(run.experiment(), dataset, SampleSet(samples), run.run_facts())


def test_gates_of_requests_are_those_of_the_same_requests_with_one_row():
    one, more = ALONE.judge(), judge(several(ALONE))
    for alone, together in zip(one.gates[:OF_REQUESTS], more.gates[:OF_REQUESTS], strict=True):
        assert together.interval == pytest.approx(alone.interval)
        assert together.estimate == pytest.approx(alone.estimate)
    accuracy = [verdict.gates[OF_REQUESTS] for verdict in (one, more)]
    assert accuracy[0].estimate == pytest.approx(accuracy[1].estimate)
    # rows that fail together, four at a time, say no more than one
    assert accuracy[1].interval == pytest.approx(accuracy[0].interval)


def test_more_rows_say_more_of_quality_where_no_request_fails():
    run = replace(ALONE, stable=Arm(), candidate=Arm(accuracy=0.79), gates=("accuracy >= stable - 1pp",))
    one, more = (np.diff(verdict.gates[0].interval)[0] for verdict in (run.judge(), judge(several(run))))
    assert more == pytest.approx(one / ROWS**0.5, rel=0.05)


def test_what_is_shown_of_a_version_counts_both():
    one, more = (verdict.versions["candidate"] for verdict in (ALONE.judge(), judge(several(ALONE))))
    assert (one.rows, more.rows) == (None, ROWS * one.requests)
    assert (more.requests, more.errors, more.errors_by_kind) == (one.requests, one.errors, one.errors_by_kind)
    assert more.latency_ms == one.latency_ms
    assert more.goodput_rps == pytest.approx(one.goodput_rps)
    assert more.throughput_rps == one.throughput_rps
    assert more.compared == ROWS * one.compared


def test_goodput_counts_the_share_of_a_request_that_is_right():
    run = several(Run(arrivals=1500, rows=1500, gates=("goodput >= 1/s",)))
    table = run.samples.table
    right = pa.array(table["place"].to_numpy() == 0)
    table = table.set_column(SCHEMA.get_field_index("correct"), SCHEMA.field("correct"), right)
    run = JudgedRun.gather(run.experiment, run.dataset, SampleSet(table), run.facts)
    assert judge(run).gates[0].candidate == pytest.approx(1500 / 60 / ROWS)


def test_no_request_of_several_rows_was_asked_before_the_load():
    # 25 requests that soon come again; those whose rows were asked happen to be faster
    run = several(Run(arrivals=1000, rows=25, gates=("goodput >= 1/s",)), 3)
    table = run.samples.table
    asked = table["row"].to_numpy() % 25 % 2 == 0
    done = table["done_at"].to_numpy() - np.where(asked, 0.0, -0.5)
    for name, column in {"asked_before": asked, "done_at": done}.items():
        field = SCHEMA.field(name)
        table = table.set_column(SCHEMA.get_field_index(name), field, pa.array(column).cast(field.type))
    verdict = judge(JudgedRun.gather(run.experiment, run.dataset, SampleSet(table), run.facts))
    assert "first asks" not in verdict.gates[0].reason
    assert verdict.gates[0].candidate == pytest.approx(verdict.versions["candidate"].goodput_rps)


def test_an_analysis_while_the_run_lasts_sees_whole_requests():
    run = several(ALONE)
    load = run.experiment.load.model_copy(update={"until_decided": True, "duration": 60.0})
    experiment = run.experiment.model_copy(update={"load": load})
    live = LiveJudge(experiment, run.dataset)
    order = np.argsort(run.samples.done_at, kind="stable")
    views = [
        live.feed(SampleSet(run.samples.table.take(part))) for part in np.array_split(pa.array(order), 10)
    ]
    seen = [view for view in views if view is not None]
    evidence = run.until(seen[-1].elapsed).evidence
    assert evidence.arrivals * ROWS == len(evidence.stable) == len(evidence.candidate)
    assert {len(view.gates) for view in seen} == {len(GATES)}


@pytest.mark.parametrize(
    ("place", "rows", "says"),
    [
        (4, 4, "sample 0: it is row 4 of 4 of its request"),
        (-2, 4, "it is row -2 of 4"),
        (0, 1, "it is row 0 of 1"),
        (None, 4, "it is row -1 of 4"),
        (0, None, "it is row 0 of -1"),
    ],
)
def test_a_place_that_cannot_be(tmp_path, place, rows, says):
    table = Run(arrivals=20, rows=20).samples().table
    for name, value in (("place", place), ("request_rows", rows)):
        cells = pa.array([value] + [None] * (len(table) - 1), pa.int16())
        table = table.set_column(SCHEMA.get_field_index(name), SCHEMA.field(name), cells)
    SampleSet(table).write(tmp_path / "samples.parquet")
    with pytest.raises(UsageError, match=says):
        SampleSet.read(tmp_path / "samples.parquet")
