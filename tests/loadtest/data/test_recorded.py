import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadtest.data.dataset import Dataset
from loadtest.data.recorded import Recorded, with_arrivals
from loadtest.experiment.experiment import Data

ROWS = pa.table({"a": [1.0, 2.0, 3.0], "label": ["x", "y", "x"]})
TIMES, SENT = np.array([0.0, 0.5, 0.5, 2.0]), np.array([2, 0, 2, 2], dtype=np.int32)


@pytest.mark.parametrize("users", [None, np.array([4, 5, 4, 6], dtype=np.int32)])
def test_an_evaluation_set_knows_its_arrivals(tmp_path, users):
    path = tmp_path / "x.parquet"
    path.write_bytes(with_arrivals(ROWS, Recorded(TIMES, SENT, users)))
    for dataset in (
        Dataset.read(Data(path=path)),
        Dataset.read(Data(path=path), path.read_bytes(), every=True),
    ):
        assert dataset.names == ("a",)  # when rows are sent is no feature
        assert dataset.labels.tolist() == ["x", "y", "x"]
        assert dataset.recorded.times.tolist() == TIMES.tolist()
        assert sorted(dataset.recorded.rows.tolist()) == sorted(SENT.tolist())
        assert (dataset.recorded.users is None) == (users is None)
        if users is not None:
            told = zip(dataset.recorded.times, dataset.recorded.rows, dataset.recorded.users, strict=True)
            assert set(told) == set(zip(TIMES, SENT, users, strict=True))


def test_another_file_has_none(tmp_path):
    pq.write_table(ROWS.append_column("replayed_at", pa.array([1.0, 2.0, 3.0])), tmp_path / "x.parquet")
    dataset = Dataset.read(Data(path=tmp_path / "x.parquet"))
    assert dataset.recorded is None
    assert dataset.names == ("a", "replayed_at")  # a number that somebody gave this name
    (tmp_path / "x.csv").write_text("a,label\n1,x\n")
    assert Dataset.read(Data(path=tmp_path / "x.csv")).recorded is None


@pytest.mark.parametrize("users", [None, np.array([9, 7, 9], dtype=np.int32)])
def test_requests_of_several_rows_keep_their_order(tmp_path, users):
    sizes, sent = np.array([2, 1, 3], dtype=np.int32), np.array([2, 0, 1, 1, 2, 0], dtype=np.int32)
    path = tmp_path / "x.parquet"
    path.write_bytes(with_arrivals(ROWS, Recorded(np.array([0.0, 0.5, 0.75]), sent, users, sizes)))
    dataset = Dataset.read(Data(path=path))
    recorded = dataset.recorded
    assert dataset.names == ("a",)
    assert recorded.times.tolist() == [0.0, 0.5, 0.75]
    assert (recorded.rows.tolist(), recorded.sizes.tolist()) == (sent.tolist(), [2, 1, 3])
    assert recorded.rows_of(np.array([2, 0])).tolist() == [1, 2, 0, 2, 0]
    assert (recorded.users is None) if users is None else (recorded.users.tolist() == users.tolist())
