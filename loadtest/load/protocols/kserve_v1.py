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


@register("kserve-v1")
@dataclass(frozen=True)
class KServeV1(Codec):
    """``KServeV1("shop")``."""

    model: str

    typed: ClassVar[bool] = True

    @property
    def path(self) -> str:
        """The predict endpoint."""
        return f"/v1/models/{quote(self.model, safe='')}:predict"

    def encode(self, row: Sequence[Any]) -> bytes:
        """The row format: one instance, a list of features."""
        return orjson.dumps({"instances": [row]})

    def decode(self, body: bytes) -> str:
        """The one element of ``predictions``."""
        return prediction(body, "predictions")

    def scored(self, classes: tuple[str, ...], *, named: bool, ask: Callable[[str], Any]) -> Self:  # noqa: ARG002
        """A model that answers with scores does so unasked."""
        return replace(self, scores=ClassScores.of(classes, named=named))

    def decode_scores(self, body: bytes) -> tuple[str, Scores]:
        """The one element of ``predictions``: scores, alone or beside the label."""
        return scored(one(part(body, "predictions")), self.reader)

    def ranked_part(self, body: bytes) -> Any:
        """The one element of ``predictions``."""
        return one(part(body, "predictions"))


@register("tfserving")
class TensorFlowServing(KServeV1):
    """``TensorFlowServing("shop")``."""
