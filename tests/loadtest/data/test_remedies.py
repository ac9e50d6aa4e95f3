"""The remedy of a refused file, when it is followed, is not refused next: each is run, and read."""

import gzip
import io
import json
import pickle
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sklearn.datasets

from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError
from loadtest.experiment.experiment import Data

FRAME = pd.DataFrame({"x": [1.5, 2.0, 3.25], "y": [7, 8, 9], "label": ["a", "b", "a"]})
ARFF = """% by hand
@relation toy
@attribute x numeric
@attribute 'y' numeric
@attribute label {a, b}
@data
1.5, 7, a
2.0, 8, b
?, 9, 'a'
"""
ROWS = "1.5 7 a\n2.0 8 b\n3.25 9 a\n"
NAMES = {"x1": "x", "x2": "y", "x3": "label"}
"""Names that a person writes in place of those in a remedy."""


def written(write):
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def saved(**options):
    return written(
        lambda file: np.savetxt(file, np.array([[1.5, 7, 0], [2.0, 8, 1], [3.25, 9, 0]]), **options)
    )


def broken_in(name):
    """A Parquet file with nonsense in place of the cells of a column."""
    whole = bytearray(written(lambda file: FRAME.to_parquet(file, compression="snappy")))
    chunk = pq.read_metadata(io.BytesIO(whole)).row_group(0).column(FRAME.columns.get_loc(name))
    whole[chunk.data_page_offset : chunk.data_page_offset + 16] = b"\xff" * 16
    return bytes(whole)


def named(value):
    """The time stands in some of these bytes, and every worker must give a test the same name."""
    return "bytes" if isinstance(value, bytes) else None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        # UCI's files: blanks, with names, without, with R's row names, in quotes of either kind
        ("rows.dat", "x y label\n" + ROWS),
        ("rows.dat", ROWS),
        ("rows.txt", "  1.5   7  a\n  2.0   8  b\n 3.25   9  a\n"),
        ("rows.txt", '"x" "y" "label"\n"1" 1.5 7 "a"\n"2" 2.0 8 "b"\n"3" 3.25 9 "a"\n'),
        ("rows.csv", "'x' 'y' 'label'\n" + ROWS),
        ("rows.txt", ROWS.replace(" a", ' "a"')),
        # a cell that is not there
        ("rows.txt", "x    y    label\n1.5  7    a\n2.0       b\n3.25 9    a\n"),
        # NumPy's own
        ("rows.txt", saved(header="x y label", fmt="%g")),
        ("rows.txt", saved(header="x,y,label", fmt="%g")),
        # comments and titles above the table
        ("rows.csv", "# by hand\n# in May\nx,y,label\n1.5,7,a\n2.0,8,b\n3.25,9,a\n"),
        ("rows.csv", "# by hand, in May\nx;y;label\n1.5;7;a\n2.0;8;b\n3.25;9;a\n"),
        ("rows.csv", "Report\n\nof May\nx,y,label\n1.5,7,a\n2.0,8,b\n3.25,9,a\n"),
        ("rows.csv", "Report\nx,y,label,\n1.5,7,a\n2.0,8,b\n3.25,9,a\n"),
        # scikit-learn's own: the first line counts rows and columns
        ("rows.csv", "3,2,a,b\n1.5,7,0\n2.0,8,1\n3.25,9,0\n"),
        ("rows.arff", ARFF),
        ("rows.svmlight", "# by hand\n0 1:1.5 2:7\n1 1:2.0 2:8\n0 1:3.25 2:9\n"),
        # of learning to rank: the document of a query
        ("rows.svmlight", "0 qid:1 1:1.5 2:7\n1 qid:1 1:2.0 2:8\n0 qid:2 1:3.25 2:9 # d3\n"),
        # JSON of pandas in all its orients, indented or not, and within an answer of a service
        *(("rows.json", FRAME.to_json(orient=orient)) for orient in ("columns", "index", "split", "table")),
        ("rows.json", FRAME.to_json(indent=2)),
        # rows under names of their own
        ("rows.json", FRAME.set_index(pd.Index(["u1", "u2", "u3"])).to_json(orient="index")),
        ("rows.json", FRAME.set_index(pd.Index(["u1", "u2", "u3"])).to_json()),
        ("rows.json", json.dumps({"count": 3, "results": FRAME.to_dict("records")}, indent=1)),
        ("rows.pkl", written(lambda file: pickle.dump(FRAME, file, protocol=2))),
        ("rows.pkl", written(FRAME.to_pickle)),
        ("rows.dta", written(FRAME.to_stata)),
        ("rows.dta", written(lambda file: FRAME.to_stata(file, version=118))),
        ("rows.feather", written(FRAME.to_feather)),
        # a column that no reader can unpack
        ("rows.parquet", broken_in("y")),
    ],
    ids=named,
)
def test_a_remedy_that_is_followed_works(tmp_path, monkeypatch, name, content):
    monkeypatch.chdir(tmp_path)
    content = content.encode() if isinstance(content, str) else content
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        Dataset.read(Data(path=tmp_path / name), every=True)
    said = str(caught.value)
    assert "\n" not in said
    command = re.search(r": ((?:X, y(?:, qid)? = )?(?:pandas|sklearn)\..*)", said)[1]
    if "own for x1 to x3" in said:
        command = re.sub(r"names=(\[.*?\])", f"names={list(NAMES.values())}", command)
    exec(command, {"pandas": pd, "pyarrow": pa, "sklearn": sklearn, "json": json})
    (made,) = tmp_path.glob("evaluation.*")
    dataset = Dataset.read(Data(path=made), every=True)
    assert dataset.labelled
    assert len(dataset) == 3
    x = next(name for name in dataset.names if name in ("x", "0"))
    assert dataset.columns[x].to_pylist() in ([1.5, 2.0, 3.25], [1.5, 2.0, None])
    assert dataset.labels.tolist() in (["a", "b", "a"], ["0", "1", "0"])


def test_several_labels_per_row_are_a_column_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # the first row has one label, as any file of one label has
    (tmp_path / "rows.svmlight").write_text("2 1:1.5 2:7\n0,2 1:2.0\n0 2:9\n")
    with pytest.raises(DatasetError, match="several labels per row") as caught:
        Dataset.read(Data(path="rows.svmlight"))
    exec(re.search(r": (X, y = .*)", str(caught.value))[1], {"pandas": pd, "sklearn": sklearn})
    dataset = Dataset.read(Data(path="evaluation.csv", label="label_2"), every=True)
    assert dataset.labels.tolist() == ["1", "1", "0"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("rows.rds", gzip.compress(b"X\n\0\0\0\3", mtime=0), "readRDS.'rows.rds'."),
        ("rows.RData", gzip.compress(b"RDX3\nX\n", mtime=0), "load.'rows.RData'."),
        ("rows.sav", b"$FL2@(#) IBM SPSS", "read_spss"),
        ("rows.xml", b"<?xml version='1.0'?><rows/>", "read_xml"),
        ("rows.xls", b"<html><table><tr><td>1</td></tr></table>", r"read_html.'rows.xls'..0."),
        ("rows.arff", b"@RELATION r\n@ATTRIBUTE a numeric\n@DATA\n{0 1}\n", "sparse ARFF"),
        # nothing of it can be sent, whatever it is named
        ("rows.csv", b"when,label\n,a\n", "write one of numbers or text .*; left out: when .has no values"),
        ("rows.csv", b'a,"b"x"\n1,2\n', "the line of column names has a broken quote .*each of them twice"),
        # as a pickle begins, and nothing more
        ("rows.csv", b"\x80", "no rows; "),
        # text is text, in however many words
        ("rows.csv", b"the good film\nof all\n", "no column 'label', so no labels"),
    ],
    ids=named,
)
def test_other_remedies_are_named(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    try:
        said = " ".join(Dataset.read(Data(path=tmp_path / name), every=True).notes)
    except DatasetError as error:
        said = str(error)
    assert re.search(says, said), said
