"""A service of one's own, such as a FastAPI app: its JSON body as a template, its answer by a JSONPath.

::

    [target]
    protocol = "template"
    path = "/score"
    body = '{"customer": {{ row }}, "id": "c-{{ row.id }}", "k": 10}'
    answer = "$.result.label"
    scores = "$.result.probabilities"       # if a gate needs them

====================================  ===============================================================
``{{ row }}``                         the sent columns as an object, by name
``{{ cells }}``                       the sent columns as an array, in their order
``{{ rows }}``, ``{{ rows.cells }}``  a list of these, one per row of the request
``{{ row.age }}``, ``{{ column("home city") }}``  one cell; inside quotes: as a part of the text there
``"{{ row.age }}"``                   one cell as a text, ``"41"``
====================================  ===============================================================

A number is sent in its own type, a missing cell as ``null``. The JSONPaths are those of RFC 9535. With
``encoding = "form"``, ``"multipart"`` or ``"query"`` the values of the object are fields (``form_fields``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import orjson

from contract.label_text import label_text
from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, ExperimentError
from loadtest.experiment.target import Target
from loadtest.load.protocols.class_scores import ClassScores
from loadtest.load.protocols.codec import Codec, register
from loadtest.load.protocols.form_fields import CONTENT_TYPES, encoded, require_fields
from loadtest.load.protocols.json_answers import Scores, scored
from loadtest.load.protocols.json_paths import compiled_path, selector_of
from loadtest.load.protocols.ranked_items import refuse_error
from loadtest.load.protocols.template_body import (
    CELLS,
    OF_ALL,
    ROW,
    ROWS,
    ROWS_CELLS,
    Hole,
    as_text,
    inside_quotes,
    parts_of,
    require_json,
)

_PATH = re.compile(r"/[!-~]*")


@register("template")
@dataclass(frozen=True)
class Template(Codec):
    """``Template("/score", '{"customer": {{ row }}}', "$.label", ("age", "income"))``.

    Args:
        path: where the requests go, below the base URL.
        body: the JSON of a request with places to fill.
        answer: the JSONPath of the one value in an answer that is the prediction.
        columns: names of the cells of a row.
        scores_at: the JSONPath of the scores; empty: they stand where the prediction does.
        encoding: how the body is sent, as ``[target] encoding`` has it.
        verb: the method of the requests.
    """

    path: str = "/predict"
    body: str = "{{ row }}"
    answer: str = "$"
    columns: tuple[str, ...] = ()
    scores_at: str = ""
    encoding: str = "json"
    verb: str = "POST"

    typed: ClassVar[bool] = True
    takes: ClassVar[frozenset[str]] = frozenset({"path", "body", "answer", "scores", "encoding", "method"})
    remedy: ClassVar[str] = "[target] answer is the JSONPath of the prediction"
    scores_remedy: ClassVar[str] = "[target] scores is their JSONPath"

    @classmethod
    def check_target(cls, target: Target) -> None:
        """The template, the path and the JSONPath must be there, and be ones."""
        super().check_target(target)
        for key in ("answer", "body", "path"):
            if getattr(target, key) is None:
                raise ExperimentError(f"[target] {key} is missing; the protocol template needs it")
        if not _PATH.fullmatch(str(target.path)):
            raise ExperimentError(
                f"[target] path {target.path!r}: begins with / and has neither blanks nor letters beyond "
                "ASCII; escape them with %"
            )
        require_json(parts_of(str(target.body)))
        require_fields(parts_of(str(target.body)), target.encoding or "json")
        if target.method == "GET" and target.encoding != "query":
            raise ExperimentError(
                '[target] method: a GET has no body; write encoding = "query", which sends it in the URL'
            )
        compiled_path(str(target.answer))
        if target.scores is not None:
            compiled_path(target.scores, "scores")

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
        codec = cls(
            str(target.path),
            str(target.body),
            str(target.answer),
            tuple(features),
            target.scores or "",
            target.encoding or "json",
            target.method or "POST",
        )
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
            if hole.quoted and not hole.whole and dataset.columns[hole.column].null_count:
                raise DatasetError(
                    f"{dataset.path}: column {hole.column!r} has missing cells, which cannot be part of a "
                    "text; let it stand in quotes of its own in [target] body, it is null then"
                )

    @property
    def content_type(self) -> str:
        """As the encoding has it."""
        return CONTENT_TYPES[self.encoding]

    @property
    def method(self) -> str:
        """As the experiment has it."""
        return self.verb

    @property
    def in_query(self) -> bool:
        """Of a query, and of nothing else."""
        return self.encoding == "query"

    def encode(self, row: Sequence[Any]) -> bytes:
        """The template, filled with the row."""
        return self.encode_rows([row])

    def check_several(self, rows: int) -> None:
        """Only a list takes several rows."""
        kinds = {hole.kind for hole in self._holes}
        if not kinds.intersection(OF_ALL):
            raise ExperimentError(
                f"[load] rows_per_request is up to {rows}, and [target] body takes one row; write "
                "{{ rows }} where the list of them belongs"
            )
        if not kinds.issubset(OF_ALL):
            raise ExperimentError(
                f"[load] rows_per_request is up to {rows}, and [target] body has places of one row beside "
                "the list of all; leave out one of them"
            )

    def encode_rows(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """The template, filled with the rows; places of one row, with the first."""
        filled = b"".join(part if isinstance(part, bytes) else part(rows) for part in self._filling)
        return encoded(filled, self.encoding)

    def answers(self, body: bytes) -> Any:
        """The values that the JSONPath selects, or the one list; where scores stand elsewhere, with these."""
        answer, selected = self._selected(body)
        if not selected:
            refuse_error(answer)
        rows = selected[0] if len(selected) == 1 else selected
        if self.scores is None or not self.scores_at:
            return rows
        found = self._scores_in(answer)
        both = found[0] if len(found) == 1 else found
        if not isinstance(rows, list) or not isinstance(both, list) or len(rows) != len(both):
            raise ValueError(f"{self.answer} and {self.scores_at} do not select one value per row each")
        return [{"label": label, "scores": scores} for label, scores in zip(rows, both, strict=True)]

    def decode(self, body: bytes) -> str:
        """The one value that the JSONPath selects; the element of a list of one."""
        return self._label(*self._selected(body))

    def _label(self, answer: Any, selected: list[Any]) -> str:
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

    def scored(self, classes: tuple[str, ...], *, named: bool, ask: Callable[[str], Any]) -> Self:  # noqa: ARG002
        """A service of one's own answers with its scores unasked."""
        return replace(self, scores=ClassScores.of(classes, named=named))

    def decode_scores(self, body: bytes) -> tuple[str, Scores]:
        """The label where ``answer`` says, the scores where ``scores_at`` says; without it, both at once."""
        if not self.scores_at:
            return scored(self.ranked_part(body), self.reader)
        answer, selected = self._selected(body)
        label = self._label(answer, selected)
        found = self._scores_in(answer)
        return scored({"label": label, "scores": found[0] if len(found) == 1 else found}, self.reader)

    def _scores_in(self, answer: Any) -> list[Any]:
        found = self._select_scores(answer)
        if not found:
            raise ValueError(f"{self.scores_at} selects nothing in the answer")
        return found

    def ranked_part(self, body: bytes) -> Any:
        """The values that the JSONPath selects, in their order, or the one list."""
        answer, selected = self._selected(body)
        if not selected:
            refuse_error(answer)
            # no items are a ranking, too, where the rest of the answer is as it should be
            if self._is_singular:
                raise ValueError(f"{self.answer} selects nothing in the answer")
        return selected[0] if self._is_singular else selected

    def _selected(self, body: bytes) -> tuple[Any, list[Any]]:
        """The decoded answer, and what the JSONPath selects in it."""
        answer = orjson.loads(body)
        return answer, self._select(answer)

    @cached_property
    def _is_singular(self) -> bool:
        """Whether the JSONPath is of one value."""
        return compiled_path(self.answer).singular_query()

    @property
    def _holes(self) -> Iterator[Hole]:
        return (part for part in parts_of(self.body) if isinstance(part, Hole))

    @cached_property
    def _filling(self) -> list[bytes | Callable[[Sequence[Sequence[Any]]], bytes]]:
        """Bytes, and what makes bytes of the rows."""
        return [
            part.encode() if isinstance(part, str) else self._filler(part) for part in parts_of(self.body)
        ]

    def _filler(self, hole: Hole) -> Callable[[Sequence[Sequence[Any]]], bytes]:
        names = self.columns
        if hole.kind == ROWS:
            return lambda rows: orjson.dumps([dict(zip(names, row, strict=True)) for row in rows])
        if hole.kind == ROWS_CELLS:
            return orjson.dumps
        if hole.kind == ROW:
            return lambda rows: orjson.dumps(dict(zip(names, rows[0], strict=True)))
        if hole.kind == CELLS:
            return lambda rows: orjson.dumps(rows[0])
        place = names.index(hole.column)
        if hole.whole:
            return lambda rows: as_text(rows[0][place])
        if hole.quoted:
            return lambda rows: inside_quotes(rows[0][place])
        return lambda rows: orjson.dumps(rows[0][place])

    @cached_property
    def _select(self) -> Callable[[Any], list[Any]]:
        return selector_of(self.answer)

    @cached_property
    def _select_scores(self) -> Callable[[Any], list[Any]]:
        return selector_of(self.scores_at)
