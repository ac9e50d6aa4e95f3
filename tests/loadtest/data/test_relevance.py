"""The label of a ranking: what may stand in the column, in every kind of file."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError
from loadtest.experiment.sections import Data


def read(path):
    return Dataset.read(Data(path=path, task="ranking"))


FORMS = [
    ("17", ("17",), (1.0,)),
    ('["17", "4"]', ("17", "4"), (1.0, 1.0)),
    ("[17, 4.0]", ("17", "4"), (1.0, 1.0)),  # label_text: a number is the text that it is
    ('{"17": 3, "4": 1}', ("17", "4"), (3.0, 1.0)),
    ('{"17": 3, "4": 0}', ("17",), (3.0,)),  # a gain of 0 is none
    ("[17, 4, 17]", ("17", "4"), (1.0, 1.0)),  # named twice, wanted once
]


@pytest.mark.parametrize(("cell", "items", "gains"), FORMS)
def test_a_cell_of_text(tmp_path, cell, items, gains):
    path = tmp_path / "rows.csv"
    quoted = cell.replace('"', '""')
    path.write_text(f'x,label\n1,"{quoted}"\n')
    found = read(path).relevant
    assert (found.items, found.gains) == ((items,), (gains,))


@pytest.mark.parametrize(
    ("labels", "items"),
    [
        (pa.array([["a", "b"], ["c"]]), (("a", "b"), ("c",))),
        (pa.array([[1, 2], [3]]), (("1", "2"), ("3",))),
        (pa.array([[("a", 2.0)], [("b", 1.0)]], pa.map_(pa.string(), pa.float64())), (("a",), ("b",))),
        (pa.array([5, 6]), (("5",), ("6",))),
    ],
)
def test_columns_of_parquet(tmp_path, labels, items):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"x": [1.0, 2.0], "label": labels}), path)
    assert read(path).relevant.items == items


def test_lists_and_objects_of_json(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{"x": 1, "label": ["a", "b"]}, {"x": 2, "label": {"c": 2}}, {"x": 3, "label": "d"}]
    path.write_text("\n".join(map(json.dumps, rows)))
    found = read(path)
    assert found.relevant.items == (("a", "b"), ("c",), ("d",))
    # rows that want the same are the same: a label is one text
    assert found.labels.tolist() == ['{"a":1.0,"b":1.0}', "c", "d"]
    assert not found.relevant.single


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("", "no item"),
        ("[]", "no relevant item, so no list could be a good one; drop the row"),
        ('{"17": 0}', "no relevant item"),
        ("[17", "is no JSON"),
        ('{"17": "much"}', "'17' has the gain 'much'; write a number of at least 0"),
        ('{"17": -1}', "'17' has the gain -1"),
        ("[[1]]", "list is no label"),
    ],
)
def test_what_is_no_label_is_named_with_its_row(tmp_path, cell, says):
    path = tmp_path / "rows.csv"
    quoted = cell.replace('"', '""')
    path.write_text(f'x,label\n1,17\n2,"{quoted}"\n')
    with pytest.raises(DatasetError) as raised:
        read(path)
    assert "column 'label', row 2: " in str(raised.value)
    assert says in str(raised.value)


def test_without_labels_the_answers_are_lists_all_the_same(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x\n1\n2\n")
    found = read(path)
    assert found.ranked
    assert found.relevant is None
