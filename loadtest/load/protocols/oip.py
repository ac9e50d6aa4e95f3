"""The Open Inference Protocol v2 over REST.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

import numpy as np
import orjson
from numpy.typing import NDArray

from contract.datatypes import FLOATS, INTEGERS
from loadtest.errors import ExperimentError, TargetError
from loadtest.load.protocols.codec import Codec, prediction, register

_ANY_TENSOR = "input-0"


@register("oip")
@dataclass(frozen=True)
class OpenInference(Codec):
    """The Open Inference Protocol v2: ``OpenInference("shop", "features", "FP64")``.

    Args:
        model: the model's name in the path.
        tensor: the name of its input tensor.
        datatype: the datatype of that tensor.
    """

    model: str
    tensor: str
    datatype: str

    @staticmethod
    def metadata_path(model: str) -> str:
        """Where the model says what its input is."""
        return f"/v2/models/{quote(model, safe='')}"

    @classmethod
    def for_model(cls, model: str, features: Sequence[str], ask: Callable[[str], Any]) -> Self:
        """The codec that fits the model's metadata; a model without any takes what comes."""
        metadata = ask(cls.metadata_path(model))
        if isinstance(metadata, dict) and not metadata.get("inputs"):
            return cls(model, _ANY_TENSOR, "FP64")
        return cls.from_metadata(model, metadata, features)

    @classmethod
    def from_metadata(cls, model: str, metadata: Any, features: Sequence[str]) -> Self:
        """Read what a server says of its model: the decoded answer to ``metadata_path``."""
        try:
            inputs = [(i["name"], i["datatype"], list(i["shape"])) for i in metadata["inputs"]]
            columns = (metadata.get("parameters") or {}).get("columns")
        except (TypeError, KeyError, AttributeError):
            raise TargetError(
                f"model {model!r}: its metadata is not that of the Open Inference Protocol"
            ) from None
        if len(inputs) != 1:
            raise TargetError(
                f"model {model!r} has {len(inputs)} input tensors; one with all features is needed"
            )
        name, datatype, shape = inputs[0]
        if datatype not in FLOATS | INTEGERS:
            raise TargetError(
                f"model {model!r}: its input is of datatype {datatype}; a numeric one is needed"
            )
        if shape and shape[-1] not in (-1, len(features)):
            raise ExperimentError(
                f"model {model!r} takes {shape[-1]} features, the evaluation set has {len(features)} "
                f"({', '.join(features)}); name the right columns under [data] features"
            )
        if columns and list(columns) != list(features):
            raise ExperimentError(
                f"model {model!r} takes the features {', '.join(columns)}, the evaluation set would send "
                f"{', '.join(features)}; name them in the model's order under [data] features"
            )
        return cls(model, name, datatype)

    @property
    def path(self) -> str:
        """The infer endpoint."""
        return f"{self.metadata_path(self.model)}/infer"

    def encode(self, row: NDArray[np.float64]) -> bytes:
        """One row as one tensor of shape (1, features)."""
        values = (row.astype(np.int64) if self.datatype in INTEGERS else row).tolist()
        tensor = {"name": self.tensor, "shape": [1, len(values)], "datatype": self.datatype, "data": values}
        return orjson.dumps({"inputs": [tensor]})

    def decode(self, body: bytes) -> str:
        """The one element of the first output."""
        return prediction(body, "outputs", 0, "data")
