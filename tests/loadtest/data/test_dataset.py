import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError
from loadtest.experiment.experiment import Data

TABLE = pa.table(
    {
        "age": [20, 30, 40],
        "spent": [1.5, 2.5, 3.5],
        "member": [True, False, True],
        "segment": ["new", "old", "new"],
        "label": ["a", "b", "a"],
        "value": [1.0, 2.0, 3.0],
    }
)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_both_formats_read_alike(tmp_path, suffix):
    path = tmp_path / f"rows.{suffix}"
    pyarrow.csv.write_csv(TABLE, path) if suffix == "csv" else pq.write_table(TABLE, path)
    dataset = Dataset.read(Data(path=path, value="value"))
    # numbers and truth values are features; text, the label and the value are not
    assert dataset.names == ("age", "spent", "member")
    np.testing.assert_array_equal(dataset.features, [[20, 1.5, 1], [30, 2.5, 0], [40, 3.5, 1]])
    assert dataset.labels.tolist() == ["a", "b", "a"]
    assert dataset.values.tolist() == [1, 2, 3]
    assert len(dataset) == 3


def test_named_features_keep_their_order(tmp_path):
    pq.write_table(TABLE, tmp_path / "rows.parquet")
    dataset = Dataset.read(Data(path=tmp_path / "rows.parquet", features=("spent", "age")))
    np.testing.assert_array_equal(dataset.features[0], [1.5, 20])


def test_integer_labels_read_as_the_text_that_a_server_answers(tmp_path):
    pq.write_table(pa.table({"x": [1.0], "label": [7]}), tmp_path / "rows.parquet")
    assert Dataset.read(Data(path=tmp_path / "rows.parquet")).labels.tolist() == ["7"]


@pytest.mark.parametrize(
    ("table", "data", "says"),
    [
        (TABLE.drop_columns(["label"]), {}, r"no column 'label'; it has age, .*\[data\]"),
        (TABLE, {"value": "price"}, "no column 'price'"),
        (TABLE, {"features": ("age", "height")}, "no column 'height'"),
        (TABLE, {"features": ("segment",)}, "'segment' is not numeric"),
        (TABLE, {"label": "segment", "task": "regression"}, "'segment' is not numeric"),
        (TABLE.slice(0, 0), {}, "no rows"),
        (TABLE.select(["segment", "label"]), {}, "no numeric feature columns"),
        (pa.table({"x": [1.0, 2.0], "label": ["a", None]}), {}, "1 rows have no 'label'"),
        # a gap would reach a server as NaN, which JSON does not have
        (pa.table({"x": [1.0, None], "label": ["a", "b"]}), {}, "column 'x' has 1 gaps"),
        (pa.table({"x": [1.0, float("nan")], "label": ["a", "b"]}), {}, "column 'x' has 1 gaps"),
    ],
)
def test_bad_sets_name_the_file_and_the_column(tmp_path, table, data, says):
    pq.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(DatasetError, match=says) as caught:
        Dataset.read(Data(path=tmp_path / "rows.parquet", **data))
    assert "rows.parquet" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_unreadable_and_missing_files(tmp_path, name):
    with pytest.raises(DatasetError, match="no such file"):
        Dataset.read(Data(path=tmp_path / name))
    (tmp_path / name).write_bytes(b"\x00\xff,,\n\x00")
    with pytest.raises(DatasetError, match=name):
        Dataset.read(Data(path=tmp_path / name))
