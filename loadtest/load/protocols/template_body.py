"""The body of a template: its text, and the places in it that a row fills."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from loadtest.errors import ExperimentError

_HOLE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_CELL = re.compile(
    r"""row\.([A-Za-z_]\w*) | row\[\s*("[^"]*"|'[^']*')\s*\] | column\(\s*("[^"]*"|'[^']*')\s*\)""",
    re.VERBOSE,
)
ROW, CELLS, ROWS, ROWS_CELLS = "row", "cells", "rows", "rows.cells"
OF_ALL = (ROWS, ROWS_CELLS)
_END_OF_VALUE = re.compile(r'"(?!\s*:)')
"""Of a text that is no key, which cannot be ``null``."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)


class Hole(NamedTuple):
    """A place to fill: with a column, or with what ``kind`` says.

    ``quoted``: it is part of a text; ``whole``: it is all of the text, whose quotes it fills, too.
    """

    kind: str
    column: str
    quoted: bool
    whole: bool = False


Part = str | Hole


def inside_quotes(cell: Any) -> bytes:
    """A cell as part of a text: without quotes of its own."""
    written = orjson.dumps(cell)
    return written[1:-1] if isinstance(cell, str) else written


def as_text(cell: Any) -> bytes:
    """A cell as a text with its quotes; a missing one is ``null``."""
    return b"null" if cell is None else b'"%b"' % inside_quotes(cell)


def parts_of(body: str) -> list[Part]:
    """The texts of a template and its holes, in turn.

    Raises:
        ExperimentError: it has none, or one that is not known.
    """
    # holes first: a column's name may have quotes around it
    blank = _HOLE.sub(lambda hole: "\0" * len(hole[0]), body)
    strings = [found.span() for found in _STRING.finditer(blank)]
    parts: list[Part] = []
    end = 0
    for found in _HOLE.finditer(body):
        begin, close = found.span()
        hole = _hole(found[1].strip(), any(first < begin < last for first, last in strings))
        if (begin - 1, close + 1) in strings and _END_OF_VALUE.match(body, close):
            begin, close, hole = begin - 1, close + 1, hole._replace(whole=True)
        parts += [body[end:begin], hole]
        end = close
    rest = body[end:]
    if end == 0:
        raise ExperimentError(
            "[target] body has no {{ row }}, {{ cells }}, {{ rows }} or {{ row.NAME }} to fill in"
        )
    return [*parts, rest]


def _hole(says: str, quoted: bool) -> Hole:
    if says in (ROW, CELLS, *OF_ALL):
        if quoted:
            raise ExperimentError(
                f"[target] body: {{{{ {says} }}}} stands inside quotes; take them away, it is JSON by itself"
            )
        return Hole(says, "", quoted)
    if cell := _CELL.fullmatch(says):
        name = cell[1] or (cell[2] or cell[3])[1:-1]
        return Hole("", name, quoted)
    raise ExperimentError(
        f"[target] body: {{{{ {says} }}}} is not known; there are {{{{ row }}}}, {{{{ cells }}}}, "
        '{{ rows }}, {{ rows.cells }}, {{ row.NAME }} and {{ column("NAME") }}'
    )


def require_json(parts: Sequence[Part]) -> None:
    """Make sure that the body, filled with zeros, is JSON.

    Raises:
        ExperimentError: it is none.
    """
    filled = "".join(part if isinstance(part, str) else "0" for part in parts)
    try:
        json.loads(filled)
    except json.JSONDecodeError as error:
        near = " ".join(filled[max(0, error.pos - 20) : error.pos + 20].split())
        raise ExperimentError(
            f"[target] body is not JSON once it is filled in: {error.msg}, near {near!r} "
            f"(line {error.lineno})"
        ) from None
