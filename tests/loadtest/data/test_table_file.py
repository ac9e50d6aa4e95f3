"""Files of rows: what a file is, its bytes say; and any table comes back cell for cell, or is refused."""

import base64
import bz2
import csv
import gzip
import io
import json
import lzma
import pickle
import re
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as encryption
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contract.text_columns import MISSING
from loadtest.data.table_file import read_table_file
from loadtest.errors import DatasetError

CSV = b"x,label\n1,a\n2,b\n"


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def archive(member: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as made:
        made.writestr(member, "")
    return sink.getvalue()


TABLE = pa.table({"x": [1, 2], "label": ["a", "b"]})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", CSV),
        # as Windows writes names, and as people name such files
        ("ROWS.CSV", CSV),
        ("rows.txt", CSV),
        # so many that looking twice at each would not end
        ("rows.csv", b"\n" * 200 + CSV),
        ("rows.data", CSV),
        ("rows.csv.gz", gzip.compress(CSV, mtime=0)),
        # compressed, though its name does not say so
        ("rows.csv", gzip.compress(CSV, mtime=0)),
        ("rows.tsv", CSV.replace(b",", b"\t")),
        ("rows.parquet", parquet(TABLE)),
        ("rows.PQ", parquet(TABLE)),
        ("rows.csv", parquet(TABLE)),
        ("rows.parquet.gz", gzip.compress(parquet(TABLE), mtime=0)),
        ("rows.jsonl", b'{"x": 1, "label": "a"}\n{"x": 2, "label": "b"}\n'),
        ("rows.json", b'[{"x": 1, "label": "a"}, {"x": 2, "label": "b"}]'),
    ],
)
def test_the_same_rows_in_any_file(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    for given_content in (None, content):
        columns = read_table_file(tmp_path / name, given_content).columns
        assert columns["x"].cells.to_pylist() == [1, 2]
        assert columns["label"].cells.to_pylist() == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        # what is inside decides, not the name
        ("rows.xlsx", archive("xl/workbook.xml"), r"is a workbook; save the sheet as 'CSV UTF-8'.*openpyxl"),
        ("rows.ods", archive("content.xml"), "is a workbook.*odfpy"),
        ("rows.xls", b"\xd0\xcf\x11\xe0...", "is a workbook.*xlrd"),
        ("rows.zip", archive("rows.csv"), "is a zip archive; .*unzip rows.zip"),
        ("rows.zip", b"PK\x03\x04...", "cut short or broken"),
        # a clone without git-lfs has these instead of data
        ("rows.parquet", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "git lfs pull"),
        ("rows.csv.bz2", bz2.compress(CSV), "is compressed by bzip2; unpack it: bunzip2 rows.csv.bz2"),
        ("rows.csv.xz", lzma.compress(CSV), "unxz rows.csv.xz"),
        # what goes to a shell is quoted
        ("my rows.csv.bz2", bz2.compress(CSV), "bunzip2 'my rows.csv.bz2'"),
        ("my rows.parquet", CSV, "mv 'my rows.parquet' 'my rows.csv'"),
        ("rows.feather", b"ARROW1\0\0", "read_feather.'rows.feather'..to_parquet"),
        ("rows.pkl", pickle.dumps([1]), "is a pickle, which is not opened"),
        # what a share that asks to sign in answers
        ("rows.csv", b"\n<!DOCTYPE html><html>", "is a web page"),
        ("rows.csv", b"\xef\xbb\xbf<html>", "is a web page"),
        (
            "rows.csv",
            b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML"><html>',
            "is a web page",
        ),
        ("rows.xml", b'<?xml version="1.0"?><!DOCTYPE rows SYSTEM "rows.dtd"><rows/>', "is XML"),
        # the default of pandas' to_json
        (
            "rows.json",
            b'{"x": {"0": 1, "1": 2}, "label": {"0": "a", "1": "b"}}',
            "by column.*orient='records'",
        ),
        ("rows.parquet", CSV, "is no Parquet, .*name it so: mv rows.parquet rows.csv"),
        ("rows.parquet", b"\0" * 9, "is no Parquet, .*download it again"),
        ("rows.parquet", parquet(TABLE)[:-9], "is cut short: it does not end with PAR1, .*download it again"),
        ("rows.parquet", b"PAR1" + b"\xff" * 64 + b"\x20\0\0\0PAR1", "what describes its columns is broken"),
        ("rows.csv.gz", gzip.compress(CSV, mtime=0)[:-9], "is cut short or broken"),
        ("rows.csv.gz", b"\x1f\x8b" + CSV, "is cut short or broken"),
        ("rows.jsonl", b'{"x": 1}\n{"x": ', "not readable as JSON .Expecting value: line 2 column 7"),
        ("rows.jsonl", b'{"x": 1}\n\n{"x" 2}\n{"x": 3}\n', "delimiter: line 3 column 6"),
        ("rows.json", b"[1, 2]", "not one object per row"),
        # of two cells of one name a reader of JSON keeps the last
        (
            "r.jsonl",
            b'{"x": 1}\n{"x": 1, "y": 2, "x": 3}\n',
            "in line 2 with the keys .* has 'x' 2 times; ren",
        ),
        ("rows.json", b'[\n {"y": 1, "x": 1, "x": 1}\n]\n', "'y', 'x', 'x' has 'x' 2 times; rename or drop"),
        ("rows.csv", b"", "is empty"),
    ],
)
def test_other_files_are_refused_in_one_line(name, content, says):
    with pytest.raises(DatasetError, match=says) as caught:
        read_table_file(Path(name), content)
    assert "\n" not in str(caught.value)


def test_lists_that_cannot_be_read_are_left_out(tmp_path):
    whole = bytearray(parquet(TABLE.append_column("tags", pa.array([["a", "b"], ["c"]]))))
    chunk = pq.read_metadata(io.BytesIO(whole)).row_group(0).column(2)
    whole[chunk.data_page_offset : chunk.data_page_offset + 16] = b"\xff" * 16
    file = read_table_file(tmp_path / "rows.parquet", bytes(whole))
    assert file.columns["x"].cells.to_pylist() == [1, 2]
    assert file.columns["tags"].holds == "lists or records that Arrow cannot read"


class NoKeys(encryption.KmsClient):
    """Keys that are wrapped by nothing, for files of a test."""

    def wrap_key(self, key_bytes, master_key_identifier):
        return base64.b64encode(key_bytes)

    def unwrap_key(self, wrapped_key, master_key_identifier):
        return base64.b64decode(wrapped_key)


def test_encrypted_columns_are_named(tmp_path):
    factory = encryption.CryptoFactory(lambda _: NoKeys())
    config = encryption.EncryptionConfiguration(
        footer_key="f", column_keys={"k": ["x"]}, plaintext_footer=True
    )
    path = tmp_path / "rows.parquet"
    keys = factory.file_encryption_properties(encryption.KmsConnectionConfig(), config)
    with pq.ParquetWriter(path, TABLE.schema, encryption_properties=keys) as writer:
        writer.write_table(TABLE)
    with pytest.raises(DatasetError, match=r"is encrypted in 'x'; .*without encryption, or leave it out: "):
        read_table_file(path, None)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(DatasetError, match="is a folder; name one file"):
        read_table_file(tmp_path, None)


@pytest.mark.parametrize(
    ("rows", "name", "cells", "note"),
    [
        # a key that is absent, and null
        ([{"x": 1.5}, {}, {"x": None}], "x", [1.5, None, None], None),
        ([{"id": 1234567890123456789}], "id", [1234567890123456789], None),
        ([{"x": 1}, {"x": "a"}], "x", ["1", "a"], "column 'x' is text: it holds int and str"),
        ([{"x": True}, {"x": None}], "x", [True, None], None),
    ],
)
def test_json_has_types_of_its_own(tmp_path, rows, name, cells, note):
    file = read_table_file(tmp_path / "rows.json", json.dumps(rows).encode())
    assert file.columns[name].cells.to_pylist() == cells
    assert file.notes == ((note,) if note else ())


def test_numbers_that_no_column_holds_are_left_out(tmp_path):
    file = read_table_file(tmp_path / "r.json", json.dumps([{"x": 10**30, "y": 1, "z": [1]}]).encode())
    assert [(name, column.holds) for name, column in file.columns.items()] == [
        ("x", "numbers beyond int64, or broken text"),
        ("y", None),
        ("z", "lists"),
    ]


# Latin-1's second set of control characters is what Windows-1252 has its quotes for
_CONTROLS = "".join(map(chr, (0, *range(0x80, 0xA0))))
_TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters=_CONTROLS), max_size=8)
_WESTERN = st.text("abc éößñ,;\"'\n\t.-x1", max_size=8)
_CELLS = {
    "int": st.integers(-(2**63), 2**63 - 1).map(str),
    "float": st.floats(allow_nan=False, allow_infinity=False).map(repr),
    "bool": st.sampled_from(["True", "False"]),
    "text": _TEXT,
    "western": _WESTERN,
}


@st.composite
def tables(draw: st.DrawFn) -> dict[str, tuple[str, list[str]]]:
    """Columns by name: kind, and cells as text, of which some are missing."""
    rows = draw(st.integers(1, 6))
    names = draw(st.lists(st.text("abcü_ 1", min_size=1), min_size=1, max_size=4, unique=True))
    columns = {}
    for name in names:
        kind = draw(st.sampled_from(sorted(_CELLS)))
        cell = st.just("") | _CELLS[kind]
        columns[name] = (kind, draw(st.lists(cell, min_size=rows, max_size=rows)))
    return columns


def written(columns: dict[str, tuple[str, list[str]]], separator: str, quoting: int, end: str) -> str:
    text = io.StringIO(newline="")
    if any("\r" in cell for _, cells in columns.values() for cell in cells):
        # Python's writer forgets that this, too, ends a line
        quoting = csv.QUOTE_ALL
    writer = csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=end)
    writer.writerow(columns)
    writer.writerows(zip(*(cells for _, cells in columns.values()), strict=True))
    return text.getvalue()


@example({"1": ("text", ["Â\xa0"])}, ",", csv.QUOTE_MINIMAL, "\n", "cp1252")
@example({"a": ("text", ["\r"]), "b": ("text", ['"'])}, ",", csv.QUOTE_MINIMAL, "\n", "utf-8")
@given(
    tables(),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"]),
)
def test_any_csv_comes_back_cell_for_cell_or_is_refused(
    tmp_path_factory, columns, separator, quoting, end, code
):
    text = written(columns, separator, quoting, end)
    content = text.encode(code, "replace")
    expected = content.decode(code)
    if expected != text:
        # what this encoding does not have
        return
    if is_utf8(content) and code in ("cp1252", "latin-1") and not content.isascii():
        # the bytes of `Â` and a hard blank are those of the blank alone in UTF-8: nobody can tell
        return
    path = tmp_path_factory.getbasetemp() / "any.csv"
    try:
        file = read_table_file(path, content, wanted=columns)
    except DatasetError as error:
        # either way out is right
        assert re.fullmatch(re.escape(f"{path}: ") + ".+", str(error))  # noqa: PT017
        return
    assert file.names == tuple(columns)
    for name, (_, cells) in columns.items():
        column = file.columns[name]
        for read, cell in zip(column.cells.to_pylist(), cells, strict=True):
            assert means(read, cell), (name, read, cell)


def is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def means(read: object, cell: str) -> bool:
    """Whether a cell came back: missing, the same number, the same truth, or the same text."""
    match read:
        case None:
            return cell.strip() in (*MISSING, "")
        case bool():
            return str(read).lower() == cell.lower()
        case int():
            return read == int(cell)
        case float():
            return read == float(cell.replace(",", "."))
    return read == cell


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf")
@example(b'sep=\n"')
@example(b"{")
@example(b"a\n\x0c")
def test_any_bytes_are_a_table_or_a_dataset_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any"
    try:
        file = read_table_file(path, content)
    except DatasetError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either way out is right
    else:
        assert len({len(column.cells) for column in file.columns.values()}) <= 1


@given(tables())
def test_any_parquet_comes_back(tmp_path_factory, columns):
    casts = {"int": int, "float": float, "bool": "True".__eq__}
    table = pa.table(
        {
            name: [casts.get(kind, str)(cell) if cell else None for cell in cells]
            for name, (kind, cells) in columns.items()
        }
    )
    file = read_table_file(tmp_path_factory.getbasetemp() / "any.parquet", parquet(table))
    for name in columns:
        assert file.columns[name].cells.to_pylist() == table[name].to_pylist()
