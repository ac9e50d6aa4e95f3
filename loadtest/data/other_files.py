"""Files that are no rows as CSV, Parquet or JSON have them: what each is, and what makes it one of these."""

from __future__ import annotations

import io
import re
import shlex
import zipfile
from typing import Any

from contract.stand_ins import LFS_POINTER, is_page

_AS_PARQUET = "to_parquet('evaluation.parquet')"
_AS_CSV = "to_csv('evaluation.csv', index=False)"
_SAS = f"is a SAS file; write Parquet: pandas.read_sas({{name!r}}, encoding='latin1').{_AS_PARQUET}"
_R = "write.csv({}, 'evaluation.csv', row.names = FALSE)"
_STATA = re.compile(rb"[\x69-\x73][\x01\x02]\x01\x00")
AS_LINES = "to_json('evaluation.jsonl', orient='records', lines=True)"
"""A frame as JSON that is read, one object per line."""
# by its first bytes: what it is, and what to do; {name} is the file's, {shell} as a shell takes it
_KINDS = (
    LFS_POINTER,
    (b"PARE", "is encrypted Parquet; write it without encryption"),
    (b"BZh", "is compressed by bzip2; unpack it: bunzip2 {shell}"),
    (b"\xfd7zXZ\0", "is compressed by xz; unpack it: unxz {shell}"),
    (b"\x28\xb5\x2f\xfd", "is compressed by zstd; unpack it: unzstd {shell}"),
    (b"ARROW1", f"is an Arrow (Feather) file; write Parquet: pandas.read_feather({{name!r}}).{_AS_PARQUET}"),
    (b"ORC", f"is an ORC file; write Parquet: pandas.read_orc({{name!r}}).{_AS_PARQUET}"),
    (
        b"<stata_dta>",
        f"is a Stata file; write Parquet: pandas.read_stata({{name!r}}).{_AS_PARQUET}",
    ),
    (b"$FL", f"is an SPSS file; with pandas and pyreadstat: pandas.read_spss({{name!r}}).{_AS_PARQUET}"),
    (b"\0" * 12 + b"\xc2\xea\x81\x60", _SAS),
    (b"HEADER RECORD*******LIBRARY HEADER", _SAS),
    (b"MATLAB 5", "is a file of MATLAB; write CSV there: writetable(T, 'evaluation.csv')"),
    (b"RDX", "is a file of R; write CSV there, after load({name!r}): " + _R.format("FRAME")),
    (b"X\n\0\0\0", "is a file of R; write CSV there: " + _R.format("readRDS({name!r})")),
    (b"\x89HDF", f"is an HDF5 file; write Parquet: pandas.read_hdf({{name!r}}).{_AS_PARQUET}"),
    (b"\x93NUMPY", "is an array of NumPy, without column names; write CSV with a line of names"),
    (b"Obj\x01", "is an Avro file; write Parquet or CSV"),
    (b"SQLite format 3\0", "is a SQLite database; export its table as CSV with a line of column names"),
)
_WORKBOOK = (
    "is a workbook; save the sheet as 'CSV UTF-8', or with pandas and {needs}: "
    f"pandas.read_excel({{name!r}}, dtype=str).{_AS_CSV}"
)
_SVMLIGHT = re.compile(
    rb"(?:[ \t\r]*(?:#[^\n]*)?\n)*(?P<label>[-+]?[\d.]+(?:,[-+]?[\d.]+)*)(?P<query>[ \t]+qid:\d+)?"
    rb"(?:[ \t]+\d+:[-+.\deE]+)+[ \t]*(?:#[^\n]*)?\r?\n"
)
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_ARFF = re.compile(rb"\s*(?:%[^\n]*\n\s*)*@relation\b", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""\s*@attribute\s+(?:['"]([^'"]+)['"]|(\S+))""", re.IGNORECASE)
_QUOTED = re.compile(r"""(?:^|,)\s*(['"])""")
_BEYOND_CSV = re.compile(r"\s(?:,|$)|(?:^|,) *\t|\\[a-zA-Z0-9]")
"""Of a row of ARFF: a tab before or a blank behind a cell, or an escape of more than the character itself."""
_NAMED = 40
"""So many names of an ARFF file, and lines of comments in its data, are written out."""


def what_else(name: str, content: bytes) -> str | None:
    """What a file is and what to do with it, if its first bytes say that it is not one that is read."""
    said = next((said for magic, said in _KINDS if content.startswith(magic)), None)
    if content.startswith(b"PK\x03\x04"):
        said = _archive(content)
    elif content.startswith(b"\xd0\xcf\x11\xe0"):
        said = _WORKBOOK.replace("{needs}", "xlrd")
    elif content[:2] in _PICKLES:
        said = (
            f"is a pickle, which is not opened; write Parquet: pandas.read_pickle({{name!r}}).{_AS_PARQUET}"
        )
    elif _STATA.match(content):
        said = f"is a Stata file; write Parquet: pandas.read_stata({{name!r}}).{_AS_PARQUET}"
    elif is_page(content):
        said = _page(content)
    elif content.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<?xml"):
        said = f"is XML; with pandas and lxml: pandas.read_xml({{name!r}}).{_AS_PARQUET}"
    elif svmlight := _SVMLIGHT.match(content):
        return _svmlight(name, content, has_query=svmlight["query"] is not None)
    elif _ARFF.match(content[: 1 << 16]):
        return _arff(name, content)
    return None if said is None else said.format(name=name, shell=shlex.quote(name))


def _page(content: bytes) -> str:
    if b"<table" in content.lower():
        return f"is a web page with a table; with pandas and lxml: pandas.read_html({{name!r}})[0].{_AS_CSV}"
    return "is a web page, such as a page that asks to sign in; download the data itself"


def _svmlight(name: str, content: bytes, has_query: bool) -> str:
    """With a label per row, several, or that of one document of a query, as in learning to rank."""
    frame = "pandas.DataFrame(X.toarray())"
    if any(b"," in line.split(None, 1)[0] for line in content.splitlines() if line.strip()[:1] not in b"#"):
        each = "{f'label_{value:g}': [int(value in row) for row in y] for value in sorted(set().union(*y))}"
        return (
            "is an svmlight file with several labels per row; write CSV with a column of 0 and 1 per label, "
            f"and name one of them as the label: X, y = sklearn.datasets.load_svmlight_file({name!r}, "
            f"multilabel=True); {frame}.assign(**{each}).{_AS_CSV}"
        )
    names, option, query = ("X, y, qid", ", query_id=True", "qid=qid, ") if has_query else ("X, y", "", "")
    return (
        f"is an svmlight file; write CSV: {names} = sklearn.datasets.load_svmlight_file({name!r}{option}); "
        f"{frame}.assign({query}label=y).{_AS_CSV}"
    )


def _arff(name: str, content: bytes) -> str:
    """Its names stand above ``@data``, an attribute a line; its rows are CSV, or pairs in braces."""
    lines = re.split(r"\r\n|\r|\n", content.decode("utf-8", "replace"))
    data = next((n for n, line in enumerate(lines) if line.strip().lower().startswith("@data")), len(lines))
    found = (_ATTRIBUTE.match(line) for line in lines[:data])
    names = [match[1] or match[2] for match in found if match]
    comments, rows = [], []
    for place, line in enumerate(lines[data + 1 :], start=data + 1):
        if line.lstrip().startswith("%"):
            comments.append(place)
        elif line.strip():
            rows.append(line)
    if any(row.lstrip().startswith("{") for row in rows):
        return "is a sparse ARFF file; write CSV or Parquet, with a column per attribute"
    quotes = {match[1] for row in rows for match in _QUOTED.finditer(row)} or {"'"}
    if len(quotes) > 1 or len(comments) > _NAMED or any(map(_BEYOND_CSV.search, rows)):
        opened = f"{'gzip.' * name.endswith('.gz')}open({name!r}, 'rt', encoding='utf-8')"
        return (
            f"is an ARFF file that no option of pandas.read_csv reads; write CSV with liac-arff: read = "
            f"arff.load({opened}); "
            f"pandas.DataFrame(read['data'], columns=[name for name, _ in read['attributes']]).{_AS_CSV}"
        )
    listed = repr(names)
    split = [line.split()[1] for line in lines if line[:10].lower() == "@attribute"]
    if len(names) > _NAMED and split == names and not name.endswith(".gz"):
        listed = f"[line.split()[1] for line in open({name!r}) if line[:10].lower() == '@attribute']"
    skipped = f"[*range({data + 1}), {', '.join(map(str, comments))}]" if comments else data + 1
    return (
        f"is an ARFF file; write CSV: pandas.read_csv({name!r}, skiprows={skipped}, names={listed}, "
        f"na_values='?', keep_default_na=False, quotechar={quotes.pop()!r}, escapechar='\\\\', "
        f"skipinitialspace=True, dtype=str).{_AS_CSV}"
    )


def other_json(name: str, value: Any) -> str | None:
    """What a file of a single JSON object is and what to do with it, if that is no row; else None."""
    if not isinstance(value, dict) or not value:
        return None
    keys = set(value)
    for orient, has in (("split", {"columns", "data"}), ("table", {"schema", "data"})):
        if has <= keys and isinstance(value["data"], list):
            return f"is JSON by {orient}, not one object per row; {_again(name, orient)}"
    lists = [key for key, cells in value.items() if isinstance(cells, list) and cells]
    if len(lists) == 1 and all(isinstance(row, dict) for row in value[lists[0]]):
        rows = f"pandas.DataFrame(json.load(open({name!r}, encoding='utf-8'))[{lists[0]!r}])"
        return f"is JSON with its rows inside {lists[0]!r}; write them alone: {rows}.{AS_LINES}"
    if all(isinstance(cells, dict | list) for cells in value.values()):
        by = _orient(value)
        return f"is JSON by {by.removesuffix('s')}, not one object per row; {_again(name, by)}"
    return None


def _orient(value: dict[str, Any]) -> str:
    """How pandas calls it where each key has the cells of a row, or of a column."""
    each = [cells for cells in value.values() if isinstance(cells, dict)]
    inner = {key for cells in each for key in cells}
    if all(key.isdecimal() for key in inner):
        return "columns"
    # a row has text beside numbers, a column has not; and of rows there are more
    mixed = any(len({isinstance(cell, str) for cell in cells.values()}) > 1 for cells in each)
    rows = mixed or all(key.isdecimal() for key in value) or len(value) > len(inner)
    return "index" if rows else "columns"


def _again(name: str, orient: str) -> str:
    said = "" if orient == "columns" else f", orient={orient!r}"
    return f"write it again: pandas.read_json({name!r}{said}).{AS_LINES}"


def _archive(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            inside = archive.namelist()
    except zipfile.BadZipFile:
        return "is a workbook or a zip archive that is cut short or broken; make it again"
    if "xl/workbook.xml" in inside:
        return _WORKBOOK.replace("{needs}", "openpyxl")
    if "content.xml" in inside:
        return _WORKBOOK.replace("{needs}", "odfpy")
    return "is a zip archive; unpack it, and name the file in it: unzip {shell}"
