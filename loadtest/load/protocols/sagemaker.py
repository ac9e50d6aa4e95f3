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

    content_type: ClassVar[str] = "text/csv"
    path: ClassVar[str] = "/invocations"

    @classmethod
    def for_model(cls, model: str, features: Sequence[str], ask: Callable[[str], Any]) -> Self:  # noqa: ARG003
        """One container has one model, which takes columns by their order."""
        return cls()

    def check(self, dataset: Dataset) -> None:
        """The built-in algorithms read numbers alone."""
        try:
            _ = dataset.features
        except DatasetError as error:
            raise DatasetError(f"{error}; the protocol sagemaker sends finite numbers only") from None

    def encode(self, row: Sequence[Any]) -> bytes:
        """The features, by commas; whole ones without a point."""
        return ",".join(f"{x:.0f}" if x.is_integer() else repr(x) for x in row).encode()

    def decode(self, body: bytes) -> str:
        """The one prediction."""
        try:
            answer = orjson.loads(body)
        except ValueError:
            (text,) = body.decode("utf-8").strip().splitlines() or [""]
            if not text or "," in text or text[0] in "{[<":
                raise ValueError("not one prediction") from None
            return label_text(text.strip().strip('"'))
        wrapped = isinstance(answer, dict) and "predictions" in answer
        return single(answer["predictions"] if wrapped else answer)

    def scored(self, classes: tuple[str, ...], *, named: bool, ask: Callable[[str], Any]) -> Self:  # noqa: ARG002
        """The built-in algorithms answer with scores unasked."""
        return replace(self, scores=ClassScores.of(classes, named=named))

    def decode_scores(self, body: bytes) -> tuple[str, Scores]:
        """The scores, in JSON or by commas, alone or beside ``predicted_label``."""
        try:
            answer = orjson.loads(body)
        except ValueError:
            (text,) = body.decode("utf-8").strip().splitlines() or [""]
            answer = [float(score) for score in text.split(",")]
        wrapped = isinstance(answer, dict) and "predictions" in answer
        return scored(answer["predictions"] if wrapped else answer, self.reader)

    def ranked_part(self, body: bytes) -> Any:
        """JSON, or one line of items by commas."""
        try:
            answer = orjson.loads(body)
        except ValueError:
            (text,) = body.decode("utf-8").strip().splitlines() or [""]
            if text and text[0] in "{[<":
                raise ValueError("not one ranking") from None
            return [item.strip().strip('"') for item in text.split(",")] if text else []
        wrapped = isinstance(answer, dict) and "predictions" in answer
        return one(answer["predictions"]) if wrapped else answer
