"""``/invocations`` of SageMaker's containers: CSV in, CSV or JSON out, as the built-in algorithms give it.

https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import orjson

from contract.label_text import label_text
from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError
from loadtest.load.protocols.class_scores import ClassScores
from loadtest.load.protocols.codec import Codec, register
from loadtest.load.protocols.json_answers import Scores, one, scored, single


@register("sagemaker")
@dataclass(frozen=True)
class SageMaker(Codec):
    """``SageMaker()``."""

    path: ClassVar[str] = "/invocations"

    @classmethod
    def for_model(cls, model: str, features: Sequence[str], ask: Callable[[str], Any]) -> Self:  # noqa: ARG003
        """One container has one model, which takes columns by their order."""
        return cls()

    @property
    def content_type(self) -> str:
        """Rows are lines of CSV."""
        return "text/csv"

    def check(self, dataset: Dataset) -> None:
        """The built-in algorithms read numbers alone."""
        try:
            _ = dataset.features
        except DatasetError as error:
            raise DatasetError(f"{error}; the protocol sagemaker sends finite numbers only") from None

    def encode(self, row: Sequence[Any]) -> bytes:
        """The features, by commas; whole ones without a point."""
        return ",".join(f"{x:.0f}" if x.is_integer() else repr(x) for x in row).encode()

    def encode_rows(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """A line per row."""
        return b"\n".join(map(self.encode, rows))

    def answers(self, body: bytes) -> Any:
        """A line per row, of JSON or of CSV; else one JSON list, or one line of numbers by commas."""
        lines = body.decode("utf-8").strip().splitlines()
        if len(lines) == 1 or not lines:
            try:
                answer = orjson.loads(body)
            except ValueError:
                return [_cell(text) for text in lines[0].split(",")] if lines else []
            return _unwrapped(answer)
        try:
            whole = orjson.loads(body)  # written over several lines
        except ValueError:
            return [_of_line(line) for line in lines]
        return _unwrapped(whole)

    def decode(self, body: bytes) -> str:
        """The one prediction."""
        try:
            answer = orjson.loads(body)
        except ValueError:
            text = _line(body)
            if not text or "," in text or text[0] in "{[<":
                raise ValueError("not one prediction") from None
            return label_text(text.strip().strip('"'))
        return single(_unwrapped(answer))

    def scored(self, classes: tuple[str, ...], *, named: bool, ask: Callable[[str], Any]) -> Self:  # noqa: ARG002
        """The built-in algorithms answer with scores unasked."""
        return replace(self, scores=ClassScores.of(classes, named=named))

    def decode_scores(self, body: bytes) -> tuple[str, Scores]:
        """The scores, in JSON or by commas, alone or beside ``predicted_label``."""
        try:
            answer = orjson.loads(body)
        except ValueError:
            text = _line(body)
            answer = [float(score) for score in text.split(",")]
        return scored(_unwrapped(answer), self.reader)

    def ranked_part(self, body: bytes) -> Any:
        """JSON, or one line of items by commas."""
        try:
            answer = orjson.loads(body)
        except ValueError:
            text = _line(body)
            if text and text[0] in "{[<":
                raise ValueError("not one ranking") from None
            return [item.strip().strip('"') for item in text.split(",")] if text else []
        found = _unwrapped(answer)
        return answer if found is answer else one(found)


def _unwrapped(answer: Any) -> Any:
    """What stands under ``predictions``; an answer without it is all of it."""
    return answer["predictions"] if isinstance(answer, dict) and "predictions" in answer else answer


def _line(body: bytes) -> str:
    """The only line."""
    (text,) = body.decode("utf-8").strip().splitlines() or [""]
    return text


def _of_line(line: str) -> Any:
    """What stands in one line of several: JSON, or values by commas."""
    try:
        return orjson.loads(line)
    except ValueError:
        cells = [_cell(text) for text in line.split(",")]
    return cells[0] if len(cells) == 1 else cells


def _cell(text: str) -> Any:
    """A cell of CSV: a number as one, so that a score is told from a label."""
    text = text.strip().strip('"')
    if not text or text[0] in "{[<":
        raise ValueError("not one prediction per row")
    try:
        return orjson.loads(text)
    except ValueError:
        return text
