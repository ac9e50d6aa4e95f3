"""A CSV file as people have it, cut into cells of text: its encoding, separator and quotes are found out.

Nothing is guessed in silence: what was decided is among ``TextTable.notes``, and what cannot be decided is
refused. Cells are kept as they are written; types come later, see ``column_types``.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import shlex
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from contract.text_columns import DataFile
from loadtest.data.text_layouts import begins_lower, below_a_comment, below_counts, by_blanks
from loadtest.errors import DatasetError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_SAMPLE = 1 << 18
_BLOCK = 1 << 24
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    # of UTF-32 before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# what Western European text has outside of ASCII. What letters of other encodings become in Windows-1252,
# such as a superscript or an inverted question mark inside a word, is not among it
_WESTERN = re.compile(
    r"(?:[\x00-\x7f]|(?<![À-ÖØ-öø-ÿŒœ]{2})[À-ÖØ-öø-ÿŒœ]|(?<![A-Za-z])[€£§©®°«»„“”–—…•](?![A-Za-z])"
    r"|[\u2018\u2019–«»“”\xa0]|(?<=[0-9])[°²³½€](?![0-9])|(?<=m)[²³](?![A-Za-z]))*"
)


@dataclass(frozen=True)
class TextTable:
    """What a file of text says, column by column.

    Args:
        names: as they are written; some may be empty or stand there more than once.
        columns: one Arrow array of strings per name, all of one length; an empty cell is an empty string.
        notes: what was decided about the file, one line each.
        file: how pandas reads it.
    """

    names: tuple[str, ...]
    columns: tuple[pa.Array, ...]
    notes: tuple[str, ...]
    file: DataFile


def read_csv(path: Path, content: bytes, wanted: Collection[str] = ()) -> TextTable:
    """Cut a CSV file into cells.

    The names in ``wanted``, which its header should have, tell which separator is meant. Errors call it
    ``path``.

    Raises:
        DatasetError: it is no text, its encoding is not known, or its lines do not have one number of cells.
    """
    text, encoding, notes = _decode(path, content)
    if not text.strip("\ufeff\r\n\x1a \t,;"):
        raise DatasetError(f"{path}: is empty; an evaluation set needs a line of column names, and rows")
    whole = text
    told = re.match(r'"?sep=(.)"?(?:\r\n|\r|\n)', text)
    if told:
        text = text[told.end() :]
    text = text.lstrip("\r\n")
    above = len(whole[: len(whole) - len(text)].splitlines())
    text = text.rstrip("\x1a")
    file = DataFile(str(path), options=(f"encoding={encoding!r}",) if encoding else (), above=above)
    separator = told[1] if told else _separator(text, wanted)
    if separator != ",":
        notes.append(f"columns are separated by {SEPARATORS.get(separator, repr(separator))}")
    names, body = _header(file, text, separator)
    columns = _fast(body, separator, len(names)) if _is_plain(body, separator) else None
    if columns is None:
        columns = _careful(file, body, separator, names, text)
    options = (f"sep={separator!r}",) if separator != "," else ()
    skipped = (f"skiprows={above}",) if told else ()
    file = replace(file, options=(*options, *skipped, *file.options))
    return TextTable(tuple(names), columns, tuple(notes), file)


def _decode(path: Path, content: bytes) -> tuple[str, str, list[str]]:
    """The text, what pandas calls its encoding unless it finds that by itself, and what was decided."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            try:
                text = content[len(mark) :].decode(encoding)
            except UnicodeDecodeError as error:
                raise DatasetError(
                    f"{path}: begins as {encoding.upper()} and is not ({error.reason} at byte "
                    f"{len(mark) + error.start}); save it as UTF-8 again"
                ) from None
            if encoding == "utf-8":
                return text, "", []
            return text, encoding[:6], [f"read as {encoding.upper()[:6]}"]
    if b"\0" in content:
        return _without_mark(path, content)
    try:
        return content.decode("utf-8"), "", []
    except UnicodeDecodeError as error:
        place = f"byte {error.start}"
    # a byte that Windows-1252 does not have becomes what no text has
    text = content.decode("cp1252", "replace")
    if not all(map(_is_western, set(re.findall(r"[^\s,;|\"]*[^\x00-\x7f][^\s,;|\"]*", text)))):
        raise DatasetError(
            f"{path}: is not UTF-8 ({place}), and does not read well as Windows-1252 either; save it as "
            "'CSV UTF-8', or convert it: "
            f"iconv -f ITS_ENCODING -t UTF-8 {_quoted(path)} > {_quoted(path.with_name('utf8-' + path.name))}"
        )
    # Hungarian ő, say, becomes õ: a person sees it
    words = list(dict.fromkeys(re.findall(r"\w*[^\x00-\x7f]\w*", text)))[:3]
    return text, "cp1252", [f"read as Windows-1252, because it is not UTF-8: {', '.join(words)}"]


def _quoted(path: Path) -> str:
    """As a shell takes it."""
    return shlex.quote(str(path))


def _is_western(word: str) -> bool:
    """Whether a word that was decoded as Windows-1252 is likely to be one."""
    letters = [letter for letter in word if letter.isalpha()]
    accented = sum(not letter.isascii() for letter in letters)
    # as many as in 'été'; a single letter is a word, too
    few = accented <= 2 * (len(letters) - accented) or len(letters) == 1
    return few and _WESTERN.fullmatch(word) is not None


def _without_mark(path: Path, content: bytes) -> tuple[str, str, list[str]]:
    """UTF-16 without a mark in front: every other byte of ordinary text is 0."""
    sample = content[: 1 << 12]
    for encoding, first in (("utf-16-le", 1), ("utf-16-be", 0)):
        if sample[first::2].count(0) > 0.6 * len(sample[first::2]) and not sample[1 - first :: 2].count(0):
            try:
                return content.decode(encoding), encoding, ["read as UTF-16"]
            except UnicodeDecodeError:
                break
    raise DatasetError(
        f"{path}: is no text (it holds bytes of value 0); an evaluation set is CSV in UTF-8, or Parquet"
    )


def _separator(text: str, wanted: Collection[str]) -> str:
    """The one under which the header has the wanted names, and each line as many cells as the header."""
    sample = text[:_SAMPLE]
    if len(text) > _SAMPLE:
        sample = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample

    def fits(separator: str) -> tuple[bool, bool, bool, bool]:
        rows = _sampled(sample, separator)
        header = rows[0] if rows else []
        even = all(len(row) == len(header) for row in rows)
        several = len(header) > 1
        # below a title of one cell
        below = len(rows) > 2 and _commonest_width(rows) > 2
        return bool(wanted) and set(wanted) <= set(header), several and even, several, below

    # of equals the first, the comma
    return max(SEPARATORS, key=fits)


def _sampled(sample: str, separator: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in _reader(sample, separator):
            if row:
                rows.append(row)
    except csv.Error:
        # the sample ends inside a quoted cell, or the separator is wrong
        pass
    return rows


def _reader(text: str, separator: str) -> Iterator[list[str]]:
    # the limit is the process's; cells of text may be longer than its 128 KiB
    csv.field_size_limit(sys.maxsize)
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)


def _header(file: DataFile, text: str, separator: str) -> tuple[list[str], str]:
    csv.field_size_limit(sys.maxsize)
    # of a large file its begin is enough
    end = re.compile(r"[\r\n]").search(text, _SAMPLE)
    lines = io.StringIO(text[: end.end()] if end else text, newline="")
    try:
        names = next(csv.reader(lines, delimiter=separator, strict=True))
    except csv.Error as error:
        if blanks := by_blanks(file, [lines.getvalue().split("\n", 1)[0]], text):
            raise DatasetError(f"{file.path}: {blanks}") from None
        raise DatasetError(
            f"{file.path}: the line of column names has a broken quote ({error}); write a name with quotes "
            'in it in quotes, and each of them twice: "so ""called"" column"'
        ) from None
    if blanks := by_blanks(file, names, text):
        raise DatasetError(f"{file.path}: {blanks}")
    if counts := below_counts(file, names, text[lines.tell() :], separator):
        raise DatasetError(f"{file.path}: {counts}")
    if len(names) == 1 and names[0].startswith(("#", "%")):
        raise DatasetError(_comment(file, text, separator))
    return names, text[lines.tell() :]


def _comment(file: DataFile, text: str, separator: str) -> str:
    line = text[:_SAMPLE].splitlines()[0]
    return (
        f"{file.path}: its first line is a comment, {line[:60]!r}; take out what stands above the line of "
        f"column names: {below_a_comment(file, text, separator)}"
    )


def _is_plain(body: str, separator: str) -> bool:
    """Whether each quote belongs to a cell that begins and ends with one: others Arrow reads wrongly."""
    if '"' not in body:
        return True
    edge = rf"[{re.escape(separator)}\r\n]"
    # begins with the quote itself, which is what makes the search fast
    cell = rf'"(?<={edge}")[^"]*(?:""[^"]*)*"(?={edge}|\Z)'
    return '"' not in re.sub(cell, "", f"\n{body}")


def _fast(body: str, separator: str, width: int) -> tuple[pa.Array, ...] | None:
    """Arrow's reader; None: it cannot, and the careful reader finds out why."""
    names = [str(place) for place in range(width)]
    content = body.encode()
    if not content.strip(b"\r\n"):
        return tuple(pa.array([], pa.string()) for _ in names)
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(content),
            read_options=pyarrow.csv.ReadOptions(column_names=names, block_size=_BLOCK),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=separator, quote_char='"' if '"' in body else False, newlines_in_values='"' in body
            ),
            convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )
    except (pa.ArrowException, ValueError):
        return None
    return tuple(pa.concat_arrays(column.chunks) for column in table.columns)


def _careful(
    file: DataFile, body: str, separator: str, names: Sequence[str], text: str
) -> tuple[pa.Array, ...]:
    """Python's reader: it refuses broken quotes, where Arrow's takes the rest of the file for one cell."""
    rows: list[list[str]] = []
    width = len(names)
    try:
        for row in _reader(body, separator):
            if row:
                if len(row) != width:
                    if (
                        names[0].startswith(("#", "%"))
                        and _commonest_width(_sampled(body[:_SAMPLE], separator)) != width
                    ):
                        raise DatasetError(_comment(file, text, separator))
                    lower = None if len(row) == width + 1 else begins_lower(file, text, separator)
                    if separator == "\t":
                        # a tab here and there among blanks
                        lower = by_blanks(file, [text[:_SAMPLE].splitlines()[0]], text) or lower
                    told = lower or _ragged(body, separator, len(rows) + 1, len(row), width)
                    raise DatasetError(f"{file.path}: {told}")
                rows.append(row)
    except csv.Error as error:
        raise DatasetError(
            f"{file.path}: row {len(rows) + 1} has a broken quote ({error}); write a cell with quotes in it "
            'in quotes, and each of them twice: "so ""called"" cell"'
        ) from None
    cells: Sequence[Sequence[str]] = list(zip(*rows, strict=True)) or [()] * width
    return tuple(pa.array(column, pa.string()) for column in cells)


def _commonest_width(rows: Sequence[Sequence[str]]) -> int:
    """How many cells most rows have."""
    return Counter(map(len, rows)).most_common(1)[0][0]


def _ragged(body: str, separator: str, row: int, cells: int, width: int) -> str:
    widths = {len(each) for each in _sampled(body[:_SAMPLE], separator)[:-1]}
    if cells == width + 1 and widths <= {cells}:
        return (
            f"every row has {cells} cells, the header has {width} names; name the first column, or "
            "write the file without row names (R: row.names = FALSE) and separators at the end of lines"
        )
    return (
        f"row {row} has {cells} {'cell' if cells == 1 else 'cells'}, the header has {width} names; "
        f"write as many everywhere, and cells that hold {separator!r} in double quotes"
    )
