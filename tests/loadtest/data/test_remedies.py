"""The remedy of a refused file, when it is followed, is not refused next: each is run, and read."""

import csv
import gzip
import io
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sklearn.datasets
from sklearn.externals import _arff as liac_arff

from contract.text_columns import as_missing, as_text
from loadtest.data.dataset import Dataset
from loadtest.data.other_files import what_else
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
        # a tab here and there, as in the file Auto.data of ISLR
        ("rows.data", "x\ty\tlabel\n" + ROWS.replace(" a", '\t"a"').replace(" b", '\t"b"')),
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
        # above these, blank lines and Excel's own; in its encodings
        ("rows.csv", "\n\n# by hand\nx,y,label\n1.5,7,a\n2.0,8,b\n3.25,9,a\n"),
        ("rows.csv", "sep=;\nReport of März\nx;y;label\n1.5;7;a\n2.0;8;b\n3.25;9;a\n".encode("cp1252")),
        ("rows.txt", ("Report of März\n\n" + "x\ty\tlabel\n" + ROWS.replace(" ", "\t")).encode("utf-16")),
        ("rows.txt", ("größe y label\n" + ROWS).encode("cp1252")),
        # scikit-learn's own: the first line counts rows and columns
        ("rows.csv", "3,2,a,b\n1.5,7,0\n2.0,8,1\n3.25,9,0\n"),
        # as wide as its rows, as its iris.csv
        ("rows.csv", "3,2,a\n1.5,7,0\n2.0,8,1\n3.25,9,0\n"),
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
    x = next(name for name in dataset.names if name in ("x", "0", "größe"))
    assert dataset.columns[x].to_pylist() in ([1.5, 2.0, 3.25], [1.5, 2.0, None])
    assert dataset.labels.tolist() in (["a", "b", "a"], ["0", "1", "0"])


R = '"größe";"store";"kind";"label"\n0,5;205;"omni";"a"\n1,5;7;"NA";"b"\n2,25;8;"omni";"a"\n'
"""As R's write.csv2 writes it."""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", R.encode()),
        ("rows.csv", R.encode("utf-8-sig")),
        ("rows.csv.gz", gzip.compress(R.encode("cp1252"), mtime=0)),
        # Excel's own, and its 'Unicode text'
        ("rows.csv", f"sep=;\n{R}".encode("cp1252")),
        ("rows.txt", R.replace(";", "\t").encode("utf-16")),
        ("rows.txt", R.replace(";", "|").encode("utf-16-be")),
        ("rows.csv", b"\n\n" + R.encode("utf-32")[4:].decode("utf-32-le").encode()),
        ("rows.csv", R.replace(",", ".").replace(";", ",").encode()),
        ("rows.data", written(pd.read_csv(io.StringIO(R), sep=";", decimal=",", na_values=[],
                                          keep_default_na=False).to_parquet)),
    ],
    ids=named,
)  # fmt: skip
def test_a_remedy_of_some_columns_reads_the_file_as_it_is(tmp_path, monkeypatch, name, content):
    monkeypatch.chdir(tmp_path)
    path = Path("mine", name)
    path.parent.mkdir()
    path.write_bytes(content)
    given = Dataset.read(Data(path=path), every=True)
    for remedy, column, holds in (
        (as_text(["store"], given.file), "store", ["205", "7", "8"]),
        (as_missing({"kind": ["NA"]}, given.file), "kind", ["omni", None, "omni"]),
    ):
        eval(remedy.partition(": ")[2], {"pandas": pd})
        (made,) = Path("mine").glob("evaluation.*")
        read = Dataset.read(Data(path=made), every=True)
        made.unlink()
        assert read.names == given.names == ("größe", "store", "kind")
        assert read.columns[column].to_pylist() == holds
        for other in {"größe", "store"} - {column}:
            assert read.columns[other].to_pylist() == given.columns[other].to_pylist()


@pytest.mark.parametrize(
    ("data", "reader"),
    [
        ("1.5,'a, b',c", "pandas"),
        # quotes of the other kind, as OpenML's own files have them, and within a cell
        ('1.5,"Allen, Miss. Elisabeth",c\n?,"the tailor\'s, at 5",?', "pandas"),
        (r"1.5,'the tailor\'s, at 50\%',c", "pandas"),
        # comments between the rows and below them, and a cell with the mark of one
        ("%\n% by hand\n1.5,50%,c\n\n2.0,b,c\n  % the rest is cut off", "pandas"),
        # what pandas takes for no value is one here
        ("1.5,NA,None\n2.0,null,c", "pandas"),
        # what no option reads: quotes of two kinds, a tab, a blank behind a cell, a line's end in one,
        # comments
        ('1.5,\'a, "b"\',"it\'s"', "liac"),
        ("1.5,\tb, c", "liac"),
        ("1.5,b ,c", "liac"),
        ("1.5,b,'c' ", "liac"),
        (r"1.5,'a\nb',c", "liac"),
        ("1.5,b,c\n%\n" * 50, "liac"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_the_remedy_of_an_arff_file_keeps_its_cells(tmp_path, monkeypatch, data, reader, packed):
    monkeypatch.chdir(tmp_path)
    attributes = "@attribute x numeric\n@attribute 'y z' string\n@attribute label string\n"
    whole = f"@relation r\n{attributes}@data\n{data}\n"
    name = "rows.arff.gz" if packed else "rows.arff"
    (tmp_path / name).write_bytes(gzip.compress(whole.encode()) if packed else whole.encode())
    said = what_else(name, whole.encode())
    assert (reader == "liac") == ("with liac-arff" in said)
    exec(re.search(r": ((?:read = |pandas\.).*)", said)[1], {"pandas": pd, "arff": liac_arff, "gzip": gzip})
    names, *rows = csv.reader((tmp_path / "evaluation.csv").open(newline="", encoding="utf-8"))
    assert names == ["x", "y z", "label"]
    # scikit-learn's copy of liac-arff reads the file by itself
    assert [[float(x) if x else None, y or None, label or None] for x, y, label in rows] == [
        list(row) for row in liac_arff.loads(whole)["data"]
    ]


def test_long_lists_of_names_of_an_arff_file_are_read_from_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # with blanks in them they are in quotes
    for between, quote in (("", ""), (" ", "'")):
        names = [f"x{between}{n}" for n in range(50)]
        attributes = "".join(f"@attribute {quote}{name}{quote} numeric\n" for name in names)
        content = f"@relation r\n{attributes}@data\n{','.join(['1'] * 50)}\n"
        (tmp_path / "rows.arff").write_text(content)
        exec(re.search(r": (pandas\..*)", what_else("rows.arff", content.encode()))[1], {"pandas": pd})
        assert list(pd.read_csv("evaluation.csv")) == names


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
def test_other_remedies_are_named(name, content, says):
    try:
        said = " ".join(Dataset.read(Data(path=name), content, every=True).notes)
    except DatasetError as error:
        said = str(error)
    assert re.search(says, said), said
