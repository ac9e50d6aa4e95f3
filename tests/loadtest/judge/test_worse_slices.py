"""From an evaluation set and answers to the slices on which the candidate is worse."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.sections import Data
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.worse_slices import levels_of, search_slices
from tests.loadtest.judge.test_outputs import made as outputs_run
from tests.loadtest.made_samples import Sample, sample_set

ROWS = 600


def run(columns, wrong, *, regression=False, traffic="duet", labelled=True, off=9.0, replays=1) -> Run:
    """Stable is right; where ``wrong`` the candidate is not."""
    table = pa.table(columns)
    labels = np.arange(ROWS) % 7.0 if regression else np.full(ROWS, "1")
    dataset = Dataset(
        Path("rows"), None, tuple(table.column_names), labels if labelled else labels[:0], None, table
    )
    task = "regression" if regression else "classification"
    experiment = Experiment.parse(
        {"name": "e", "model": {"name": "m", "folder": "m"}, "data": {"path": "rows", "task": task},
         "load": {"traffic": traffic}, "gates": ["error_rate <= 1%"]}, "test"
    )  # fmt: skip
    samples = []
    for number in range(ROWS * replays):
        row, at = number % ROWS, number / 10
        for role in ("stable", "candidate"):
            bad = bool(wrong[row]) and role == "candidate"
            answer = str(labels[row] + off * bad) if regression else "01"[not bad]
            correct = None if regression else not bad
            samples.append(Sample(row, role, at, at, at + 0.01, 200, None, answer, correct, None, 0))
    load = LoadFacts(offered_rps=10, achieved_rps=10, duration_s=ROWS * replays / 10)
    return Run.gather(experiment, dataset, sample_set(samples), RunFacts(backend="local", load=load))


def frame():
    rng = np.random.default_rng(1)
    age = np.round(rng.normal(40, 10, ROWS), 3)
    city = np.where(rng.random(ROWS) < 0.4, "Bern", rng.choice(["Oslo", "Rome"], ROWS))
    return {"age": age, "city": city, "noise": rng.random(ROWS)}


# replays are no new rows
@pytest.mark.parametrize("replays", [1, 2])
def test_a_slice_by_two_columns_is_named_with_what_both_versions_do_there(replays):
    columns = frame()
    quarter = np.quantile(columns["age"], 0.25, method="inverted_cdf")
    wrong = (columns["city"] == "Bern") & (columns["age"] < quarter) & (columns["noise"] < 0.8)
    found = search_slices(run(columns, wrong, replays=replays))
    (worst,) = found.found
    assert worst.name == f"age < {quarter:.6g} and city=Bern"
    inside = (columns["city"] == "Bern") & (columns["age"] < quarter)
    assert worst.rows == inside.sum()
    assert worst.worse == wrong.sum()
    assert (worst.stable, worst.candidate) == pytest.approx((1, 1 - wrong.sum() / inside.sum()))
    assert (found.metric, found.rows, worst.better) == ("accuracy", ROWS, 0)
    assert found.slices == 24


def test_a_regression_is_worse_by_its_absolute_error():
    columns = frame()
    wrong = (columns["city"] == "Rome") & (columns["noise"] < 0.9)
    found = search_slices(run(columns, wrong, regression=True))
    assert found.metric == "mae"
    assert [one.name for one in found.found] == ["city=Rome"]
    assert found.found[0].stable == 0
    assert found.found[0].candidate == pytest.approx(9 * wrong.sum() / (columns["city"] == "Rome").sum())


def test_what_single_precision_makes_of_an_answer_is_no_worse():
    columns = frame()
    assert search_slices(run(columns, columns["city"] == "Rome", regression=True, off=1e-6)).found == ()


def scored(columns, gates, *, far) -> Run:
    """Both answer with the right class; where ``far`` the candidate is less sure of it."""
    table = pa.table(columns)
    labels = np.where(np.arange(ROWS) % 2 == 0, "no", "yes")
    dataset = Dataset(
        Path("rows"), None, tuple(table.column_names), labels, None, table, named_classes=("no", "yes")
    )
    experiment = Experiment.parse(
        {"name": "e", "model": {"name": "m", "folder": "m"}, "data": {"path": "rows"},
         "load": {"traffic": "duet"}, "gates": gates}, "test"
    )  # fmt: skip
    samples = []
    for row in range(ROWS):
        for role in ("stable", "candidate"):
            sure = 0.6 if role == "candidate" and far[row] else 0.9
            scores = [sure, 1 - sure] if labels[row] == "no" else [1 - sure, sure]
            at = row / 10
            samples.append(
                Sample(row, role, at, at, at + 0.01, 200, None, labels[row], True, None, 0, scores=scores)
            )
    load = LoadFacts(offered_rps=10, achieved_rps=10, duration_s=ROWS / 10)
    return Run.gather(experiment, dataset, sample_set(samples), RunFacts(backend="local", load=load))


@pytest.mark.parametrize(
    ("gate", "metric", "stable", "candidate"),
    [
        # its own value per row
        ("log_loss <= stable + 0.1", "log_loss", -np.log(0.9), -np.log(0.6)),
        ("brier_score[city=Rome] <= 0.5", "brier_score", 0.01, 0.16),
        # no mean over rows: the loss of the same scores stands for it
        ("roc_auc >= stable - 0.01", "log_loss", -np.log(0.9), -np.log(0.6)),
        ("recall@precision=0.9 >= stable - 1pp", "log_loss", -np.log(0.9), -np.log(0.6)),
    ],
)
def test_a_gate_on_scores_is_searched_by_scores_though_every_label_is_right(gate, metric, stable, candidate):
    columns = frame()
    found = search_slices(scored(columns, [gate], far=columns["city"] == "Rome"))
    assert found.metrics == ("accuracy", metric)
    (one,) = found.found
    assert (one.name, one.metric, one.rows) == ("city=Rome", metric, (columns["city"] == "Rome").sum())
    assert (one.stable, one.candidate) == pytest.approx((stable, candidate), rel=1e-6)


def test_a_gate_whose_samples_have_no_scores_costs_the_others_nothing():
    columns = frame()
    wrong = columns["city"] == "Rome"
    found = search_slices(run(columns, wrong).under(["roc_auc >= stable - 0.01"]))
    assert (found.metrics, [one.name for one in found.found]) == (("accuracy",), ["city=Rome"])
    assert found.missing["log_loss"].startswith("the samples carry no scores")


@pytest.mark.parametrize(
    ("gates", "metrics"),
    [
        (["mae[output=price] <= 1"], ("mae[output=price]",)),
        # the same rows are worse by all of these
        (["rmse[output=units] <= 1", "r2[output=units] >= 0", "mae[output=units] <= 1"],
         ("mae[output=price]", "rmse[output=units]")),
        (["max_error[output=units] <= 9", "interval_coverage[lower=units,upper=high] >= 1%"],
         ("mae[output=price]", "mae[output=units]", "interval_coverage[lower=units,upper=high]")),
    ],
)  # fmt: skip
def test_a_gate_on_an_output_is_searched_by_that_output(gates, metrics):
    truth = np.arange(200.0)
    half = np.where(truth < 100, 0.0, 3.0)  # rows_of names the first half a, the second b
    good = {"price": truth, "units": truth, "high": truth}
    outputs = dict.fromkeys(good, "sold")
    found = search_slices(
        outputs_run({"sold": truth}, good, {**good, "units": truth + half}, *gates, outputs=outputs)
    )
    assert found.metrics == metrics
    worse = {one.metric: one for one in found.found if one.name == "half=b"}
    assert set(worse) == set(metrics) - {"mae[output=price]"}
    if "rmse[output=units]" in worse:
        assert worse["rmse[output=units]"].candidate == pytest.approx(3.0)


def test_what_finds_no_room_is_counted_or_named():
    # each of four outputs is off in three of twelve groups of its own
    truth, group = np.arange(1200.0), np.arange(1200) // 100
    names = ("price", "units", "high", "low")
    off = {name: truth + 3.0 * (group // 3 == place) for place, name in enumerate(names)}
    gates = [
        *(f"mae[output={name}] <= 9" for name in names),
        # the same rows are worse by it
        "rmse[output=low] <= 9",
        "interval_coverage[lower=low,upper=high] >= 1%",
        "interval_width[lower=low,upper=high] <= 9",
        "error_rate <= 1%",
    ]
    good, sold = dict.fromkeys(names, truth), dict.fromkeys(names, "sold")
    one = outputs_run({"sold": truth}, good, off, *gates, outputs=sold)
    table = pa.table({"sold": truth, "group": np.char.add("g", group.astype(str))})
    found = search_slices(replace(one, dataset=replace(one.dataset, columns=table)))
    assert (len(found.found), found.more) == (10, 2)
    assert found.missing == {
        "interval_coverage[lower=low,upper=high]": "only 4 metrics are, as each costs the others power",
        "interval_width[lower=low,upper=high]": "a narrower interval is the better one only if it covers as "
        "much",
    }


@pytest.mark.parametrize(
    ("gate", "missing"),
    [
        ("agreement >= 1%", ["agreement"]),
        # accuracy, which is searched anyway, stands for it
        ("f1_macro >= 1%", []),
        # of requests, not of answers
        ("p99 <= 1 s", []),
    ],
)
def test_a_gate_by_which_no_row_is_worse_is_named(gate, missing):
    columns = frame()
    found = search_slices(run(columns, columns["city"] == "Rome").under([gate]))
    assert (found.metrics, list(found.missing)) == (("accuracy",), missing)


# why nothing can be searched, and the words that say so
@pytest.mark.parametrize(
    ("change", "why"),
    [({"labelled": False}, "no labels"), ({"traffic": "canary"}, "went to one version")],
)
def test_what_cannot_be_searched_is_said(change, why):
    assert why in search_slices(run(frame(), np.zeros(ROWS), **change)).skipped


def test_levels_are_values_where_there_are_few_and_else_parts():
    rng = np.random.default_rng(1)
    many = rng.permutation(ROWS).astype(float)
    table = pa.table(
        {
            "label": ["1"] * ROWS,
            "few": np.arange(ROWS) % 3,
            "truth": np.arange(ROWS) % 2 == 0,
            "gaps": pa.array(many, mask=np.arange(ROWS) % 5 == 0),
            "free text": [f"row {row}" for row in range(ROWS)],
            "rare": ["common"] * (ROWS - 49) + ["rare"] * 49,
            "constant": np.ones(ROWS),
            "time": 1_700_000_000_000_000 + 1_000_000 * np.arange(ROWS),
        }
    )
    dataset = Dataset(Path("rows"), None, ("few",), np.full(ROWS, "1"), None, table)
    known = np.sort(many[np.arange(ROWS) % 5 > 0])
    a, b, c = known[[119, 239, 359]]  # the last of each quarter of 480
    found = levels_of(Data(path=Path("rows")), dataset, np.arange(ROWS))
    assert [one.names for one in found[:3]] == [
        ("few=0", "few=1", "few=2"),
        ("truth=True", "truth=False"),
        (f"gaps < {a:g}", f"{a:g} ≤ gaps < {b:g}", f"{b:g} ≤ gaps < {c:g}", f"gaps ≥ {c:g}", "gaps missing"),
    ]
    assert [one.names for one in found[3:6]] == [(), ("rare=common",), ("constant=1",)]
    assert found[6].names[0] == "time < 1.700000149e+15"
    counts = np.bincount(found[2].codes)
    assert counts[4] == ROWS // 5
    assert counts[:4].min() > 100


def test_where_no_slice_has_enough_rows_nothing_was_searched():
    found = search_slices(run({"query": [f"query {row}" for row in range(ROWS)]}, np.zeros(ROWS)))
    assert found.skipped == "no slice by one or two columns has 50 distinct rows"
