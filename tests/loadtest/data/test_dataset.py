from datetime import date
from decimal import Decimal

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


@pytest.mark.parametrize(
    ("labels", "read"),
    [
        ([7, 8], ["7", "8"]),
        ([True, False], ["true", "false"]),
        # pandas writes a column of whole numbers so as soon as one was missing
        ([7.0, 8.5], ["7", "8.5"]),
        ([Decimal("1.00"), Decimal("1.50")], ["1", "1.5"]),
        (["True", "01"], ["true", "01"]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        ([date(2024, 1, 31), date(2024, 2, 1)], ["2024-01-31", "2024-02-01"]),
    ],
)
def test_labels_of_any_type_are_text(tmp_path, labels, read):
    pq.write_table(pa.table({"x": [1.0, 2.0], "label": labels}), tmp_path / "rows.parquet")
    assert Dataset.read(Data(path=tmp_path / "rows.parquet")).labels.tolist() == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        # what a reader that guesses types would change
        (["100", "1E2", "01"], ["100", "1E2", "01"]),
        (["06:30", "12:30"], ["06:30", "12:30"]),
        (["0x1F", "0x2A"], ["0x1F", "0x2A"]),
        (["12345678901234567890", "NA"], ["12345678901234567890", "NA"]),
        # and what it must change
        (["True", "False"], ["true", "false"]),
        (["7.0", "8"], ["7", "8"]),
    ],
)
def test_labels_in_csv_are_read_as_they_are_written(tmp_path, written, read):
    (tmp_path / "rows.csv").write_text("x,label\n" + "".join(f"1.5,{label}\n" for label in written))
    assert Dataset.read(Data(path=tmp_path / "rows.csv")).labels.tolist() == read


def test_an_empty_cell_is_no_label(tmp_path):
    (tmp_path / "rows.csv").write_text("x,label\n1,a\n2,\n")
    with pytest.raises(DatasetError, match="1 rows have no 'label'; label or drop them"):
        Dataset.read(Data(path=tmp_path / "rows.csv"))
    pq.write_table(pa.table({"x": [1.0], "label": [float("nan")]}), tmp_path / "rows.parquet")
    with pytest.raises(DatasetError, match="column 'label': nan is no label"):
        Dataset.read(Data(path=tmp_path / "rows.parquet"))


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
