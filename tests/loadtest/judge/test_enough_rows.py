"""Gates that so few rows can never show to be met are named before the load."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.judge.enough_rows import too_few_rows


def lines(gate: str, rows: int, *, seconds: int = 60, times: int = 1, restarts: int = 1) -> list[str]:
    """Of ``rows`` different rows, each ``times`` in the file; the column ``half`` is a for half of them."""
    x = np.tile(np.arange(float(rows)), times)
    labels = np.array(["yes", "no"])[x.astype(int) % 2]
    table = pa.table({"x": x, "half": np.where(x < rows / 2, "a", "b"), "label": labels})
    dataset = Dataset(Path("rows.csv"), x[:, None], ("x",), labels, None, table)
    given = {
        "name": "mine",
        "model": {"name": "mine", "folder": "mine"},
        "data": {"path": "rows.csv"},
        "load": {"rate": 50, "duration": f"{seconds}s", "restarts": restarts},
        "gates": [gate],
    }
    return list(too_few_rows(Experiment.parse(given, "mine.toml"), dataset))


@pytest.mark.parametrize(
    ("gate", "rows", "enough"),
    [
        # z^2 (1 - m) / m of Tango's interval without a row that differs
        ("accuracy >= stable - 1pp", 200, "268"),
        ("accuracy >= stable - 1pp", 268, None),
        # ln 0.05 / ln 0.995 of Clopper and Pearson's
        ("agreement >= 99.5%", 597, "598"),
        ("agreement >= 99.5%", 598, None),
        ("accuracy >= 99%", 100, "299"),
        # half of the rows are a slice
        ("accuracy[half=a] >= stable - 1pp", 400, "268"),
        # no number of rows shows a gate without a margin: nobody is told how many would
        ("accuracy >= stable", 200, None),
        # of other metrics no best case is known
        ("f1_macro >= stable - 1pp", 200, None),
        ("p95 <= stable + 1%", 200, None),
    ],
)
def test_how_many_rows_a_gate_takes_at_least(gate, rows, enough):
    said = lines(gate, rows)
    assert [f"at least {enough};" in line for line in said] == [True] * (enough is not None)


def test_what_there_is_too_little_of():
    (few,) = lines("accuracy >= stable - 1pp", 100, times=5)
    assert "stays open with 100 distinct rows, even if the candidate answers them as stable does" in few
    assert few.endswith("give it more rows, or a wider margin")
    (short,) = lines("accuracy >= 99.9%", 5000, seconds=4)
    assert "rows that the load sends, even if the candidate is right on all of them" in short
    assert short.endswith("give it a longer load, or a wider margin")
    # what several deployments answer counts together
    assert not lines("accuracy >= 99.9%", 5000, seconds=4, restarts=10)
