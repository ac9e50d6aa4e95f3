"""Text that is laid out otherwise than CSV, as UCI, R and ``numpy.savetxt`` write it: what makes it CSV.

Each remedy is a command of pandas that keeps every cell as it is written.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from contract.text_columns import DataFile, written_beside

_CELL = re.compile(r'"[^"]*"|\S+')
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_BLANKS = r"sep=r'\s+'"
_TWO_BLANKS = r"sep=r'\s\s+', engine='python'"
_BEGIN = 1 << 18
_LINES = 50
_NAMED = 8


def by_blanks(file: DataFile, first: Sequence[str], text: str) -> str | None:
    """What a file with blanks between its columns is, and the command that makes it CSV; None: it is none.

    ``first`` has the cells of its first line, cut at the separator that fits best.
    """
    comment = first[0].startswith(("#", "%"))
    if len(first) > 1 and not (comment or any(_numbers(cell.split()) > 2 for cell in first)):
        return None
    lines = [line for line in _begin(text).splitlines()[:_LINES] if line.strip()] or [text]
    above = next((place for place, line in enumerate(lines) if line[0] not in "#%"), 0)
    rows = [_CELL.findall(line) for line in lines[above:]]
    rest = rows if above else rows[1:] or rows
    if not all(len(row) > 1 and _numbers(row) for row in rest):
        return None
    if comment and any(cell[-1] in ",;|" for row in rest for cell in row):
        return None
    widths = {len(row) for row in rest}
    width = max(widths)
    said = "its columns seem to be separated by blanks"
    if not above and len({len(row) for row in rows}) > 1 and _by_two_blanks(text):
        return f"{said}, two or more; write commas: {_command('read_csv', file, _TWO_BLANKS)}"
    if len(widths) > 1:
        # of the first 100 rows alone, as is the default, later and longer cells would be cut off
        fixed = _command("read_fwf", file, "infer_nrows=10**6")
        return f"{said}, or to have fixed places; write commas: {fixed}"
    if above:
        named = re.split(r"[,;\s]+", lines[above - 1].lstrip("#% ").rstrip())
        names = named if len(named) == width else []
        said += ", and the first line to be a comment" if names else ""
        return _with_names(said, file, width, names, _BLANKS, _skip(file, above))
    if not _numbers(rows[0]) and len(rows[0]) in (width, width - 1):
        # one name less: R's write.table, whose row names pandas takes for the index
        quotes = ['quotechar="\'"'] if rows[0][0][0] == "'" else []
        return f"{said}; write commas: {_command('read_csv', file, _BLANKS, *quotes)}"
    return _with_names(said, file, width, [], _BLANKS, "header=None")


def _by_two_blanks(text: str) -> bool:
    """Whether two blanks or more cut each line into as many cells as there are names of one word."""
    lines = [re.split(r"\s\s+", line.strip()) for line in _begin(text).splitlines() if line.strip()]
    names = lines[0]
    return not any(" " in name for name in names) and {len(line) for line in lines} == {len(names)}


def below_a_comment(file: DataFile, text: str, separator: str) -> str:
    """The command that takes out the comments above the line of column names."""
    lines = text.splitlines()
    above = next((place for place, line in enumerate(lines) if line[:1] != text[0]), len(lines))
    below = "\n".join(lines[above : above + 2])
    separator = max(",;\t|", key=below.count) if any(mark in below for mark in ",;\t|") else separator
    return _command("read_csv", file, *_sep(separator), _skip(file, above))


def below_counts(file: DataFile, first: Sequence[str], body: str, separator: str) -> str | None:
    """The command for a file whose first line counts its rows and features, as scikit-learn's own; or None.

    ``first`` has the counts, then the names of the classes; ``body`` stands below it.
    """
    if len(first) < 3 or not (first[0].isdecimal() and first[1].isdecimal()) or _numbers(first) > 2:
        return None
    # lines are counted only where the width is right, which few files' is by chance
    row = next((line for line in _begin(body).splitlines() if line.strip()), "")
    width = int(first[1]) + 1
    if row.count(separator) + 1 != width or int(first[0]) != sum(
        bool(line.strip()) for line in body.splitlines()
    ):
        return None
    said = "its first line seems to count its rows and columns"
    return _with_names(said, file, width, [], *_sep(separator), _skip(file, 1), "header=None")


def begins_lower(file: DataFile, text: str, separator: str) -> str | None:
    """Where the table of a file begins that has titles above it, and the command that takes them out.

    Returns:
        None where no part of the file is a table by itself that begins below its first line.
    """
    reader = csv.reader(io.StringIO(_begin(text), newline=""), delimiter=separator)
    runs: list[tuple[int, int, list[str]]] = []
    lengths: list[int] = []
    line = 0
    for row in reader:
        if row and (not runs or len(row) != len(runs[-1][2])):
            runs.append((line, len(row), row))
            lengths.append(0)
        if row:
            lengths[-1] += 1
        line = reader.line_num
    longest = max(range(len(runs)), key=lengths.__getitem__)
    above, width, first = runs[longest]
    if not longest or width < 2 or lengths[longest] <= sum(lengths) / 2:
        return None
    # pandas reads no line that is longer than the first
    if any(below > width for _, below, _ in runs[longest:]):
        return None
    if _numbers(first) and runs[longest - 1][1] == width + 1 and not _numbers(runs[longest - 1][2]):
        # a line of names that ends in a separator
        above = runs[longest - 1][0]
        first = []
    said = f"its table seems to begin in line {above + 1}, with {width} cells"
    options = (*_sep(separator), _skip(file, above))
    if _numbers(first):
        return _with_names(said, file, width, [], *options, "header=None")
    return f"{said}; take out what stands above: {_command('read_csv', file, *options)}"


def _begin(text: str) -> str:
    """The first lines, all of them whole."""
    return text if len(text) <= _BEGIN else text[: text.rfind("\n", 0, _BEGIN)]


def _sep(separator: str) -> list[str]:
    return [] if separator == "," else [f"sep={separator!r}"]


def _with_names(said: str, file: DataFile, width: int, names: Sequence[str], *options: str) -> str:
    if names:
        listed = repr(list(names))
    else:
        said += f", and there is no line of names; write the columns' own for x1 to x{width}"
        short = repr([f"x{place}" for place in range(1, width + 1)])
        listed = short if width <= _NAMED else f"[f'x{{i}}' for i in range(1, {width + 1})]"
    return f"{said}; write commas: {_command('read_csv', file, *options, f'names={listed}')}"


def _skip(file: DataFile, lines: int) -> str:
    return f"skiprows={file.above + lines}"


def _command(reader: str, file: DataFile, *options: str) -> str:
    given = ", ".join((str(file), *options, "dtype=str", "keep_default_na=False"))
    return written_beside(f"pandas.{reader}({given}).to_csv('evaluation.csv', index=False)", file.path)


def _numbers(cells: Sequence[str]) -> int:
    return sum(_NUMBER.fullmatch(cell) is not None for cell in cells)
