"""Means over the replays of a row."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.judge.distinct_rows import Rows


# a tenth is no binary fraction: ten of them are less than 1
@pytest.mark.parametrize("replays", [1, 3, 10, 49, 1000])
def test_what_every_replay_has_its_row_has_to_the_last_digit(replays):
    dataset = Dataset(
        Path("rows"), np.eye(3), ("a", "b", "c"), np.array(["x", "y", "z"]), None, pa.table({"a": [1, 2, 3]})
    )
    outcomes = SimpleNamespace(row=np.tile(np.array([0, 2], np.int32), replays))
    rows = Rows.of(outcomes, dataset)
    assert rows.rows.tolist() == [0, 2]
    assert rows.mean(np.ones(2 * replays, dtype=bool)).tolist() == [1.0, 1.0]
    assert rows.mean(np.tile([0.0, 0.25], replays)).tolist() == [0.0, 0.25]
