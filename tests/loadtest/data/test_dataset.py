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
    with pytest.raises(DatasetError, match="1 row without 'label'; label or drop such rows"):
        Dataset.read(Data(path=tmp_path / "rows.csv"))
    pq.write_table(pa.table({"x": [1.0], "label": [float("nan")]}), tmp_path / "rows.parquet")
    with pytest.raises(DatasetError, match="1 row without 'label'"):
        Dataset.read(Data(path=tmp_path / "rows.parquet"))


@pytest.mark.parametrize(
    ("table", "data", "says"),
    [
        (TABLE, {"label": "outcome"}, r"no column 'outcome'; it has age, .*\[data\]"),
        # nearly its name
        (
            TABLE.rename_columns([n.replace("label", "Label") for n in TABLE.column_names]),
            {},
            "no column 'label'",
        ),
        (TABLE, {"value": "price"}, "no column 'price'"),
        (TABLE, {"features": ("age", "height")}, "no column 'height'"),
        (
            TABLE,
            {"label": "segment", "task": "regression"},
            "'segment' is not numeric.*write plain numbers in it",
        ),
        # a label cannot be left out of what is sent
        (
            pa.table({"a": [1], "label": [1764006892926935859]}),
            {"task": "regression"},
            "'label' holds whole numbers beyond 2.53, such as .* in a larger unit",
        ),
        (
            pa.table({"a": [1, 2], "label": [None, 3.0]}),
            {"task": "regression"},
            "'label' has 1 gap; fill gaps or drop such rows",
        ),
        (TABLE.slice(0, 0), {}, "no rows"),
        (TABLE.select(["segment", "label"]), {}, "no numeric feature columns"),
        (pa.table({"x": [1.0, 2.0], "label": ["a", None]}), {}, "1 row without 'label'"),
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


INDEXED = TABLE.replace_schema_metadata({"pandas": '{"index_columns": ["age", {"kind": "range"}]}'})


def doubled(*names):
    """A table in which the first of these names stands once more."""
    table = TABLE.select(list(names))
    return pa.Table.from_arrays([*table.columns, TABLE[names[0]]], [*table.column_names, names[0]])


@pytest.mark.parametrize(
    ("table", "names", "note"),
    [
        (TABLE, ("age", "spent", "member"), "not sent: segment (text)"),
        (INDEXED, ("spent", "member"), "not sent: age (the index of a data frame), segment (text)"),
        # the same without pandas' own word for it
        (
            TABLE.rename_columns({"age": "__index_level_0__"}),
            ("spent", "member"),
            "(the index of a data frame)",
        ),
        (TABLE.rename_columns({"age": "Unnamed: 0"}), ("spent", "member"), "(the index of a data frame)"),
        (
            TABLE.rename_columns({"age": ""}),
            ("spent", "member"),
            "not sent: '' (has no name), segment (text)",
        ),
        (
            doubled("segment", "age", "label"),
            ("age",),
            "not sent: segment (stands there 2 times: rename or drop)",
        ),
        (TABLE.append_column("tags", [[[1], [2], [3]]]), ("age", "spent", "member"), "tags (holds lists)"),
        (TABLE.append_column("gone", [[None] * 3]), ("age", "spent", "member"), "gone (has no values)"),
        (TABLE.append_column("day", [[date(2024, 1, 1)] * 3]), ("age", "spent", "member"), "dates or times)"),
    ],
)
def test_what_is_not_sent_and_why(tmp_path, table, names, note):
    pq.write_table(table, tmp_path / "rows.parquet")
    data = Data(path=tmp_path / "rows.parquet", value="value")
    dataset = Dataset.read(data if "value" in table.column_names else Data(path=data.path))
    assert dataset.names == names
    assert dataset.features.shape == (3, len(names))
    assert note in dataset.notes[-1]


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        ("y,x,z\n1,3,1\n0,4,0\n", "z reads the label on every row"),
        ("y,x,z\na,3,a\nb,4,b\n", "z reads the label on every row"),
        ("y,x,z\n1,3,1\n0,4,1\n", ""),
        # no label is told apart by it
        ("y,x,z\n1,3,1\n1,4,1\n", ""),
    ],
)
def test_a_column_that_is_the_label_is_shown(tmp_path, rows, note):
    (tmp_path / "rows.csv").write_text(rows, encoding="utf-8")
    dataset = Dataset.read(Data(path=tmp_path / "rows.csv", label="y", features=("x", "z")))
    assert note in "".join(dataset.notes)
    assert bool(note) == bool(dataset.notes)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("table", "data", "says"),
    [
        # which of the two is the feature?
        (doubled("age", "spent", "label"), {}, "column 'age' stands there 2 times; rename or drop"),
        (doubled("age", "spent", "label"), {"features": ("age",)}, "column 'age' stands there 2 times"),
        (doubled("label", "age"), {}, "column 'label' stands there 2 times"),
        # named or not in question, it does not matter
        (doubled("age", "spent", "label"), {"features": ("spent",)}, None),
        (doubled("segment", "age", "label"), {}, None),
    ],
)
def test_two_columns_of_one_name(tmp_path, table, data, says, suffix):
    path = tmp_path / f"rows.{suffix}"
    if suffix == "parquet":
        pq.write_table(table, path)
    else:
        lines = [",".join(map(str, row)) for row in zip(*(c.to_pylist() for c in table.columns), strict=True)]
        path.write_text("\n".join([",".join(table.column_names), *lines]))
    if says is None:
        assert len(Dataset.read(Data(path=path, **data))) == 3
    else:
        with pytest.raises(DatasetError, match=says):
            Dataset.read(Data(path=path, **data))


def test_an_index_that_is_named_is_sent(tmp_path):
    pq.write_table(INDEXED, tmp_path / "rows.parquet")
    dataset = Dataset.read(Data(path=tmp_path / "rows.parquet", features=("age", "spent")))
    np.testing.assert_array_equal(dataset.features[0], [20, 1.5])


def test_columns_are_sent_in_their_own_types(tmp_path):
    (tmp_path / "rows.csv").write_text(
        "id,age,city,member,label\n1234567890123456789,,Köln,True,a\n2,3.5,,,b\n"
    )
    data = Data(path=tmp_path / "rows.csv", features=("id", "age", "city", "member"))
    dataset = Dataset.read(data)
    assert dataset.matrix is None
    assert dataset.row(0) == [1234567890123456789, None, "Köln", True]
    assert dataset.sent.to_pylist() == [
        {"id": 1234567890123456789, "age": None, "city": "Köln", "member": True},
        {"id": 2, "age": 3.5, "city": None, "member": None},
    ]
    # who takes a matrix alone hears which column is none
    for name, says in (
        ("id", "whole numbers beyond 2\\^53, such as 1234567890123456789"),
        ("age", "column 'age' has 1 gap"),
        ("city", r"column 'city' is not numeric \(it reads 'Köln'\)"),
    ):
        with pytest.raises(DatasetError, match=says):
            _ = Dataset.read(Data(path=data.path, features=(name,))).features
    # of which nobody says what are features, all may be
    assert Dataset.read(Data(path=data.path), every=True).names == ("id", "age", "city", "member")
    assert Dataset.read(Data(path=data.path)).names == ("id", "age", "member")


def test_a_nan_is_a_missing_cell(tmp_path):
    pq.write_table(pa.table({"x": [1.0, float("nan")], "label": ["a", "b"]}), tmp_path / "rows.parquet")
    assert Dataset.read(Data(path=tmp_path / "rows.parquet")).row(1) == [None]


def test_rows_of_mixed_cells_that_are_the_same(tmp_path):
    lines = ["city,n,label", "Köln,1,a", ",1,a", "Köln,1,a", "Köln,,a", ",1,a", "Köln,1,b", "Basel,1,a"]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    data = Data(path=tmp_path / "rows.csv", features=("city", "n"))
    dataset = Dataset.read(data)
    assert dataset.content.tolist() == [0, 1, 0, 3, 1, 5, 6]
    assert dataset.sends_what(Dataset.read(data))
    (tmp_path / "rows.csv").write_text("\n".join([*lines[:-1], "Bern,1,a"]))
    assert not dataset.sends_what(Dataset.read(data))


@pytest.mark.parametrize(
    ("column", "value", "rows"),
    [
        ("store", "01", [0]),
        ("store", "1", []),
        ("score", "1.50", [0, 1]),
        ("score", "1.5", [0, 1]),
        ("vip", "True", [0]),
        ("vip", "true", [0]),
        ("city", "", [1]),
        ("city", " Köln", [0]),
        ("age", "30.0", [0, 1]),
    ],
)
def test_slices_are_by_what_the_file_says(tmp_path, column, value, rows):
    text = "store,score,vip,city,age,label\n01,1.50,True, Köln,30,a\n02,1.5,False,,30,b\n"
    (tmp_path / "rows.csv").write_text(text)
    dataset = Dataset.read(Data(path=tmp_path / "rows.csv", features=("score",)))
    assert np.flatnonzero(dataset.rows_where(column, value)).tolist() == rows
    assert dataset.values_of("store") == ["01", "02"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        # UCI's files have no names
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", "its first line looks like a row: write the names"),
        ("-1.51e+02\n7.5e+01\n", "its first line looks like a row: write the names"),
        # a blank that nobody sees
        ("x, label\n1,a\n", "it has x, ' label'"),
        ("x,label\n", "no rows; an evaluation set needs"),
        ("x,label\n1,a\n2,\n3,b\n", r"1 row without 'label'; .*\(the first is row 2\)"),
        ("x,label\n?,a\n1,b\n", r"no numeric feature columns"),
    ],
)
def test_what_is_wrong_with_a_csv_is_one_line(tmp_path, text, says):
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(DatasetError, match=says) as caught:
        Dataset.read(Data(path=tmp_path / "rows.csv"))
    assert "\n" not in str(caught.value)


def test_an_infinite_label_and_one_beyond_any_number(tmp_path):
    pq.write_table(pa.table({"x": [1.0], "label": [float("inf")]}), tmp_path / "rows.parquet")
    for task, says in (("classification", "inf is no label"), ("regression", "1 infinite cell;")):
        with pytest.raises(DatasetError, match=says):
            Dataset.read(Data(path=tmp_path / "rows.parquet", task=task))


def test_the_true_values_of_outputs_are_read_and_never_sent(tmp_path):
    table = pa.table({"x": [1.0, 1.0, 1.0], "price": [5.0, 5.0, 5.0], "days": [7, 7, 8]})
    pq.write_table(table, tmp_path / "rows.parquet")
    data = Data(
        path=tmp_path / "rows.parquet",
        task="regression",
        outputs={"q05": "price", "q95": "price", "d": "days"},
    )
    dataset = Dataset.read(data, every=True)
    assert dataset.names == ("x",)
    assert dataset.labels.tolist() == [5, 5, 5]
    assert {name: truth.tolist() for name, truth in dataset.truths.items()} == {
        "q05": [5, 5, 5], "q95": [5, 5, 5], "d": [7, 7, 8]
    }  # fmt: skip
    # rows are the same where all outcomes are
    assert dataset.content.tolist() == [0, 0, 2]
    with pytest.raises(DatasetError, match=r"no column 'cost'; it has x, price, days"):
        Dataset.read(data.model_copy(update={"outputs": {"q05": "price", "d": "cost"}}))
