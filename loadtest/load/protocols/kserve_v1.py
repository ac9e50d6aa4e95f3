"""``:predict`` of KServe's protocol v1 and of TensorFlow Serving, which have the same form.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
https://www.tensorflow.org/tfx/serving/api_rest#predict_api
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self
from urllib.parse import quote

import orjson

from loadtest.load.protocols.class_scores import ClassScores
from loadtest.load.protocols.codec import Codec, register
from loadtest.load.protocols.json_answers import Scores, one, part, prediction, scored


@dataclass(frozen=True)
class ListOfRows(Codec):
    """A list with an element per row, in JSON, there and back; scores come unasked."""

    typed: ClassVar[bool] = True

    def encode(self, row: Sequence[Any]) -> bytes:
        """A list of one row."""
        return self.encode_rows([row])

    def way(self, body: bytes) -> tuple[str, ...]:  # noqa: ARG002 - for those that have several forms
        """The keys that lead to the list in an answer."""
        return ("predictions",)

    def answers(self, body: bytes) -> Any:
        """The list."""
        return part(body, *self.way(body))

    def decode(self, body: bytes) -> str:
        """Its one element."""
        return prediction(body, *self.way(body))

    def scored(self, classes: tuple[str, ...], *, named: bool, ask: Callable[[str], Any]) -> Self:  # noqa: ARG002
        """A model that answers with scores does so unasked."""
        return replace(self, scores=ClassScores.of(classes, named=named))

    def decode_scores(self, body: bytes) -> tuple[str, Scores]:
        """The scores in the one element, alone or beside the label; columns may have the classes' names."""
        return scored(one(self.answers(body)), self.reader)

    def ranked_part(self, body: bytes) -> Any:
        """The one element."""
        return one(self.answers(body))


@register("kserve-v1")
@dataclass(frozen=True)
class KServeV1(ListOfRows):
    """``KServeV1("shop")``."""

    model: str

    @property
    def path(self) -> str:
        """The predict endpoint."""
        return f"/v1/models/{quote(self.model, safe='')}:predict"

    def encode_rows(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """An instance per row, a list of features."""
        return orjson.dumps({"instances": rows})


@register("tfserving")
class TensorFlowServing(KServeV1):
    """``TensorFlowServing("shop")``."""
