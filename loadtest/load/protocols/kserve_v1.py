"""``:predict`` of KServe's protocol v1 and of TensorFlow Serving, which have the same form.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
https://www.tensorflow.org/tfx/serving/api_rest#predict_api
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
import orjson
from numpy.typing import NDArray

from loadtest.load.protocols.codec import Codec, prediction, register


@register("kserve-v1")
@dataclass(frozen=True)
class KServeV1(Codec):
    """``KServeV1("shop")``."""

    model: str

    @property
    def path(self) -> str:
        """The predict endpoint."""
        return f"/v1/models/{quote(self.model, safe='')}:predict"

    def encode(self, row: NDArray[np.float64]) -> bytes:
        """The row format: one instance, a list of features."""
        return orjson.dumps({"instances": [row.tolist()]})

    def decode(self, body: bytes) -> str:
        """The one element of ``predictions``."""
        return prediction(body, "predictions")


@register("tfserving")
class TensorFlowServing(KServeV1):
    """``TensorFlowServing("shop")``."""
