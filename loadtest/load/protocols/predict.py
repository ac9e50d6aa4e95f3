"""``:predict`` of KServe's protocol v1 and of TensorFlow Serving, which have the same form.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
https://www.tensorflow.org/tfx/serving/api_rest#predict_api
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

import numpy as np
import orjson
from numpy.typing import NDArray

from loadtest.load.protocols.codec import single


@dataclass(frozen=True)
class Predict:
    """``Predict("kserve-v1", "shop")``.

    Args:
        protocol: ``kserve-v1`` or ``tfserving``.
        model: the model's name in the path.
    """

    protocol: str
    model: str
    content_type: ClassVar[str] = "application/json"

    @property
    def words(self) -> list[str]:
        """``[protocol, model]``."""
        return [self.protocol, self.model]

    @property
    def path(self) -> str:
        """The predict endpoint."""
        return f"/v1/models/{quote(self.model, safe='')}:predict"

    def encode(self, row: NDArray[np.float64]) -> bytes:
        """The row format: one instance, a list of features."""
        return orjson.dumps({"instances": [row.tolist()]})

    def decode(self, body: bytes) -> str:
        """The one element of ``predictions``."""
        try:
            return single(orjson.loads(body)["predictions"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("no predictions with exactly one element") from error
