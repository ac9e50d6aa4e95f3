"""From an evaluation set and answers to the slices on which the candidate is worse."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.sections import Data
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.worse_slices import levels_of, search_slices
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
