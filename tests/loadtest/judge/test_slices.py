import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.slices import by_slice
from tests.loadtest.made_samples import Sample, sample_set

ROWS = 400
LOAD = LoadFacts(offered_rps=10, achieved_rps=10, duration_s=40)


def found(tmp_path, task="classification", **columns):
    """Stable is right everywhere, the candidate wrong on every row whose ``segment`` is new."""
    segment = np.where(np.arange(ROWS) % 10 == 0, "new", "known")
    labels = np.arange(ROWS, dtype=float) if task == "regression" else ["1"] * ROWS
    table = {"x": np.arange(ROWS, dtype=float), "segment": segment, "label": labels} | columns
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(table), path)
    experiment = Experiment.model_validate(
        {
            "name": "e",
            "model": {"name": "m", "folder": "m"},
            "data": {"path": path, "task": task},
            "gates": ["mae <= stable + 1" if task == "regression" else "accuracy >= stable - 1pp"],
        }
    )
    dataset = Dataset.read(experiment.data)
    samples = []
    for row in range(ROWS):
        for version in ("stable", "candidate"):
            wrong = version == "candidate" and segment[row] == "new"
            right = str(row) if task == "regression" else "1"
            answer = (str(row + 7.0) if task == "regression" else "0") if wrong else right
            at = row / 10
            known = None if task == "regression" else not wrong
            samples.append(Sample(row, version, at, at, at + 0.01, 200, None, answer, known, None, 0))
    run_facts = RunFacts(backend="local", load=LOAD)
    return by_slice(Run.gather(experiment, dataset, sample_set(samples), run_facts))


def test_a_slice_that_is_worse_is_seen_beside_the_whole(tmp_path):
    whole, known, new = found(tmp_path)
    assert [part.name for part in (whole, known, new)] == ["all rows", "segment=known", "segment=new"]
    assert [part.rows for part in (whole, known, new)] == [400, 360, 40]
    assert [part.estimate for part in (whole, known, new)] == pytest.approx([-10, 0, -100])
    assert new.high < known.low
    assert {part.unit for part in (whole, known, new)} == {"pp"}


def test_a_regression_shows_its_error(tmp_path):
    whole, known, new = found(tmp_path, task="regression")
    assert [part.estimate for part in (whole, known, new)] == pytest.approx([0.7, 0, 7])


@pytest.mark.parametrize(
    ("column", "values"),
    [
        # a column with many values is a feature or a name
        ("city", [f"c{i % 9}" for i in range(ROWS)]),
        # one value slices nothing
        ("country", ["se"] * ROWS),
        # numbers are features
        ("age", np.arange(ROWS) % 3),
    ],
)
def test_what_is_no_slice(tmp_path, column, values):
    assert [part.name for part in found(tmp_path, **{column: values})] == [
        "all rows", "segment=known", "segment=new",
    ]  # fmt: skip


def test_names_that_the_gate_grammar_could_not_write(tmp_path):
    odd = ["a=b]" if i % 2 else "[" for i in range(ROWS)]
    names = [part.name for part in found(tmp_path, **{"od=d": odd})]
    assert names[3:] == ["od=d=[", "od=d=a=b]"]
