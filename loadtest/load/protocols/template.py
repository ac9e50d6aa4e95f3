"""A service of one's own, such as a FastAPI app: its JSON body as a template, its answer by a JSONPath.

::

    [target]
    protocol = "template"
    path = "/score"
    body = '{"customer": {{ row }}, "id": "c-{{ row.id }}", "k": 10}'
    answer = "$.result.label"

====================================  ===============================================================
``{{ row }}``                         the sent columns as an object, by name
``{{ cells }}``                       the sent columns as an array, in their order
``{{ rows }}``, ``{{ rows.cells }}``  a list of these, one per row of the request
``{{ row.age }}``, ``{{ column("home city") }}``  one cell; inside quotes: as a part of the text there
====================================  ===============================================================

A number is sent in its own type, a missing cell as ``null``. The JSONPath is one of RFC 9535.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import jsonpath
import orjson
from jsonpath.selectors import IndexSelector, NameSelector

from contract.label_text import label_text
from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, ExperimentError
from loadtest.experiment.target import Target
from loadtest.load.protocols.codec import Codec, register
from loadtest.load.protocols.ranked_items import refuse_error

_HOLE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_CELL = re.compile(
    r"""row\.([A-Za-z_]\w*) | row\[\s*("[^"]*"|'[^']*')\s*\] | column\(\s*("[^"]*"|'[^']*')\s*\)""",
    re.VERBOSE,
)
_ROW, _CELLS, _ROWS, _ROWS_CELLS = "row", "cells", "rows", "rows.cells"
_OF_ALL = (_ROWS, _ROWS_CELLS)
_PATH = re.compile(r"/[!-~]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)


class _Hole(NamedTuple):
    """A place to fill: with a column, or with what ``kind`` says; ``quoted``: it is part of a text."""

    kind: str
    column: str
    quoted: bool


_Part = str | _Hole


@register("template")
@dataclass(frozen=True)
class Template(Codec):
    """``Template("/score", '{"customer": {{ row }}}', "$.label", ("age", "income"))``.

    Args:
        path: where the requests go, below the base URL.
        body: the JSON of a request with places to fill.
        answer: the JSONPath of the one value in an answer that is the prediction.
        columns: names of the cells of a row.
    """

    path: str = "/predict"
    body: str = "{{ row }}"
    answer: str = "$"
    columns: tuple[str, ...] = ()

    typed: ClassVar[bool] = True
    takes: ClassVar[frozenset[str]] = frozenset({"path", "body", "answer"})
    remedy: ClassVar[str] = "[target] answer is the JSONPath of the prediction"

    @classmethod
    def check_target(cls, target: Target) -> None:
        """The template, the path and the JSONPath must be there, and be ones."""
        super().check_target(target)
        for key in sorted(cls.takes):
            if getattr(target, key) is None:
                raise ExperimentError(f"[target] {key} is missing; the protocol template needs it")
        if not _PATH.fullmatch(str(target.path)):
            raise ExperimentError(
                f"[target] path {target.path!r}: begins with / and has neither blanks nor letters beyond "
                "ASCII; escape them with %"
            )
        _require_json(_parts(str(target.body)))
        _compiled(str(target.answer))

    @classmethod
    def for_target(
        cls,
        target: Target,
        model: str,  # noqa: ARG003 - the path says it
        features: Sequence[str],
        ask: Callable[[str], Any],  # noqa: ARG003 - it has no metadata
    ) -> Self:
        """The template of the experiment, with the columns that are sent."""
        cls.check_target(target)
        codec = cls(str(target.path), str(target.body), str(target.answer), tuple(features))
        for hole in codec._holes:
            if hole.column and hole.column not in codec.columns:
                raise ExperimentError(
                    f"[target] body: no column {hole.column!r} is sent ({', '.join(codec.columns)}); "
                    "name it under [data] features"
                )
        return codec

    def check(self, dataset: Dataset) -> None:
        """A gap is no part of a text."""
        super().check(dataset)
        for hole in self._holes:
            if hole.quoted and dataset.columns[hole.column].null_count:
                raise DatasetError(
                    f"{dataset.path}: column {hole.column!r} has missing cells, which cannot be part of a "
                    "text; take the quotes around it away in [target] body, it is null then"
                )

    def encode(self, row: Sequence[Any]) -> bytes:
        """The template, filled with the row."""
        return self.encode_rows([row])

    def check_several(self, rows: int) -> None:
        """Only a list takes several rows."""
        kinds = {hole.kind for hole in self._holes}
        if not kinds.intersection(_OF_ALL):
            raise ExperimentError(
                f"[load] rows_per_request is up to {rows}, and [target] body takes one row; write "
                "{{ rows }} where the list of them belongs"
            )
        if not kinds.issubset(_OF_ALL):
            raise ExperimentError(
                f"[load] rows_per_request is up to {rows}, and [target] body has places of one row beside "
                "the list of all; leave out one of them"
            )

    def encode_rows(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """The template, filled with the rows; places of one row, with the first."""
        return b"".join(part if isinstance(part, bytes) else part(rows) for part in self._filling)

    def answers(self, body: bytes) -> Any:
        """The values that the JSONPath selects, or the one list."""
        answer, selected = self._selected(body)
        if not selected:
            refuse_error(answer)
        return selected[0] if len(selected) == 1 else selected

    def decode(self, body: bytes) -> str:
        """The one value that the JSONPath selects; the element of a list of one."""
        answer, selected = self._selected(body)
        while len(selected) == 1 and isinstance(selected[0], list):
            (selected,) = selected
        if not selected:
            refuse_error(answer)
            raise ValueError(f"{self.answer} selects nothing in the answer")
        if len(selected) > 1:
            raise ValueError(f"{self.answer} selects {len(selected)} values where one prediction is expected")
        if isinstance(selected[0], dict):
            refuse_error(selected[0])
            names = ", ".join(list(selected[0])[:8])
            raise ValueError(f"{self.answer} selects an object ({names}) where one prediction is expected")
        return label_text(selected[0])

    def ranked_part(self, body: bytes) -> Any:
        """The values that the JSONPath selects, in their order, or the one list."""
        answer, selected = self._selected(body)
        if not selected and self._is_singular:
            refuse_error(answer)
            raise ValueError(f"{self.answer} selects nothing in the answer")
        if not selected:
            # no items are a ranking, too, where the rest of the answer is as it should be
            refuse_error(answer)
        return selected[0] if self._is_singular else selected

    def _selected(self, body: bytes) -> tuple[Any, list[Any]]:
        """The decoded answer, and what the JSONPath selects in it."""
        answer = orjson.loads(body)
        try:
            return answer, self._select(answer)
        except jsonpath.JSONPathError as error:  # such as an answer that is nested too deeply
            raise ValueError(f"{self.answer}: {error.args[0]}") from error

    @cached_property
    def _is_singular(self) -> bool:
        """Whether the JSONPath is of one value."""
        return _compiled(self.answer).singular_query()

    @property
    def _holes(self) -> Iterator[_Hole]:
        return (part for part in _parts(self.body) if isinstance(part, _Hole))

    @cached_property
    def _filling(self) -> list[bytes | Callable[[Sequence[Sequence[Any]]], bytes]]:
        """Bytes, and what makes bytes of the rows."""
        return [part.encode() if isinstance(part, str) else self._filler(part) for part in _parts(self.body)]

    def _filler(self, hole: _Hole) -> Callable[[Sequence[Sequence[Any]]], bytes]:
        names = self.columns
        if hole.kind == _ROWS:
            return lambda rows: orjson.dumps([dict(zip(names, row, strict=True)) for row in rows])
        if hole.kind == _ROWS_CELLS:
            return orjson.dumps
        if hole.kind == _ROW:
            return lambda rows: orjson.dumps(dict(zip(names, rows[0], strict=True)))
        if hole.kind == _CELLS:
            return lambda rows: orjson.dumps(rows[0])
        place = names.index(hole.column)
        if hole.quoted:
            return lambda rows: _inside_quotes(rows[0][place])
        return lambda rows: orjson.dumps(rows[0][place])

    @cached_property
    def _select(self) -> Callable[[Any], list[Any]]:
        """What selects the values; names and places alone are walked without the library, which is slower."""
        compiled = _compiled(self.answer)
        steps: list[str | int] = []
        for segment in compiled.segments:
            step = segment.selectors[0]
            if not compiled.singular_query() or not isinstance(step, NameSelector | IndexSelector):
                return compiled.findall
            steps.append(step.name if isinstance(step, NameSelector) else step.index)
        return lambda answer: _walk(answer, steps)


def _walk(found: Any, steps: Sequence[str | int]) -> list[Any]:
    for step in steps:
        if not isinstance(found, dict | list):
            return []
        try:
            # a name fits no array and a place no object, whatever its type
            found = found[step]  # type: ignore[index]
        except (LookupError, TypeError):
            return []
    return [found]


def _inside_quotes(cell: Any) -> bytes:
    """A cell as part of a text: without quotes of its own."""
    written = orjson.dumps(cell)
    return written[1:-1] if isinstance(cell, str) else written


def _parts(body: str) -> list[_Part]:
    """The texts of a template and its holes, in turn."""
    # holes first: a column's name may have quotes around it
    blank = _HOLE.sub(lambda hole: "\0" * len(hole[0]), body)
    strings = [found.span() for found in _STRING.finditer(blank)]
    parts: list[_Part] = []
    end = 0
    for found in _HOLE.finditer(body):
        quoted = any(begin < found.start() < close for begin, close in strings)
        parts += [body[end : found.start()], _hole(found[1].strip(), quoted)]
        end = found.end()
    rest = body[end:]
    if end == 0:
        raise ExperimentError(
            "[target] body has no {{ row }}, {{ cells }}, {{ rows }} or {{ row.NAME }} to fill in"
        )
    return [*parts, rest]


def _hole(says: str, quoted: bool) -> _Hole:
    if says in (_ROW, _CELLS, *_OF_ALL):
        if quoted:
            raise ExperimentError(
                f"[target] body: {{{{ {says} }}}} stands inside quotes; take them away, it is JSON by itself"
            )
        return _Hole(says, "", quoted)
    if cell := _CELL.fullmatch(says):
        name = cell[1] or (cell[2] or cell[3])[1:-1]
        return _Hole("", name, quoted)
    raise ExperimentError(
        f"[target] body: {{{{ {says} }}}} is not known; there are {{{{ row }}}}, {{{{ cells }}}}, "
        '{{ rows }}, {{ rows.cells }}, {{ row.NAME }} and {{ column("NAME") }}'
    )


def _require_json(parts: Sequence[_Part]) -> None:
    """Filled with zeros, it must be JSON."""
    filled = "".join(part if isinstance(part, str) else "0" for part in parts)
    try:
        json.loads(filled)
    except json.JSONDecodeError as error:
        near = " ".join(filled[max(0, error.pos - 20) : error.pos + 20].split())
        raise ExperimentError(
            f"[target] body is not JSON once it is filled in: {error.msg}, near {near!r} "
            f"(line {error.lineno})"
        ) from None


def _compiled(answer: str) -> jsonpath.JSONPath:
    try:
        compiled = jsonpath.compile(answer, strict=True)
    except jsonpath.JSONPathError as error:
        raise ExperimentError(
            f"[target] answer {answer!r} is not a JSONPath of RFC 9535 ({error.args[0]}); "
            "write one such as $.label or $.items[0].id"
        ) from None
    if not isinstance(compiled, jsonpath.JSONPath):
        raise ExperimentError(f"[target] answer {answer!r} joins several paths; write one such as $.label")
    return compiled
