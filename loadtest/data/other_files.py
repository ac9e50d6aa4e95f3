"""Files that are no rows as CSV, Parquet or JSON have them: what each is, and what makes it one of these."""

from __future__ import annotations

import io
import zipfile

_AS_PARQUET = "to_parquet('evaluation.parquet')"
# by its first bytes: what it is, and what to do; {name} is the file's
_KINDS = (
    (
        b"version https://git-lfs.github.com/spec/",
        "is a pointer of Git LFS, not the file itself; fetch that: git lfs pull",
    ),
    (b"BZh", "is compressed by bzip2; unpack it: bunzip2 {name}"),
    (b"\xfd7zXZ\0", "is compressed by xz; unpack it: unxz {name}"),
    (b"\x28\xb5\x2f\xfd", "is compressed by zstd; unpack it: unzstd {name}"),
    (b"ARROW1", f"is an Arrow (Feather) file; write Parquet: pandas.read_feather({{name!r}}).{_AS_PARQUET}"),
    (b"ORC", f"is an ORC file; write Parquet: pandas.read_orc({{name!r}}).{_AS_PARQUET}"),
    (b"\x89HDF", f"is an HDF5 file; write Parquet: pandas.read_hdf({{name!r}}).{_AS_PARQUET}"),
    (b"\x93NUMPY", "is an array of NumPy, without column names; write CSV with a line of names"),
    (b"Obj\x01", "is an Avro file; write Parquet or CSV"),
    (b"SQLite format 3\0", "is a SQLite database; export its table as CSV with a line of column names"),
)
_WORKBOOK = (
    "is a workbook; save the sheet as 'CSV UTF-8', or with pandas and {needs}: "
    "pandas.read_excel({name!r}, dtype=str).to_csv('evaluation.csv', index=False)"
)
_PAGES = (b"<!doctype", b"<html", b"<?xml")


def what_else(name: str, content: bytes) -> str | None:
    """What a file is and what to do with it, if its first bytes say that it is none that is read; else None.

    Args:
        name: of the file, without its folder.
        content: all of its bytes.
    """
    said = next((said for magic, said in _KINDS if content.startswith(magic)), None)
    if content.startswith(b"PK\x03\x04"):
        said = _archive(content)
    elif content.startswith(b"\xd0\xcf\x11\xe0"):
        said = _WORKBOOK.replace("{needs}", "xlrd")
    elif content[:2] in (b"\x80\x04", b"\x80\x05"):
        said = (
            f"is a pickle, which is not opened; write Parquet: pandas.read_pickle({{name!r}}).{_AS_PARQUET}"
        )
    elif content.lstrip()[:9].lower().startswith(_PAGES):
        said = "is a web page or XML, such as a page that asks to sign in; download the data itself"
    return None if said is None else said.format(name=name)


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
    return "is a zip archive; unpack it, and name the file in it: unzip {name}"
