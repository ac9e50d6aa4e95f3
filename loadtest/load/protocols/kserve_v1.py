"""``:predict`` of KServe's protocol v1 and of TensorFlow Serving, which have the same form.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
https://www.tensorflow.org/tfx/serving/api_rest#predict_api
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

import orjson

from loadtest.load.protocols.codec import Codec, prediction, register


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


@register("tfserving")
class TensorFlowServing(KServeV1):
    """``TensorFlowServing("shop")``."""
