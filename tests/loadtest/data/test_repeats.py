from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.data.repeats import LOOKS, check_rows_suffice
from loadtest.errors import DatasetError


def dataset(features):
    features = np.asarray(features, dtype=float)[:, None]
    labels = np.array([str(row % 2) for row in range(len(features))])
    return Dataset(Path("e.csv"), features, ("x",), labels, None, pa.table({}))


def test_one_row_per_arrival_and_some_to_look_at():
    check_rows_suffice(dataset(range(100 + LOOKS)), 100)
    with pytest.raises(DatasetError, match="need 121 rows; it has 120: bring more rows"):
        check_rows_suffice(dataset(range(100 + LOOKS)), 101)


def test_another_label_makes_no_other_request():
    with pytest.raises(DatasetError, match="1 row with the features of another"):
        check_rows_suffice(dataset([*range(200), 199]), 10)
