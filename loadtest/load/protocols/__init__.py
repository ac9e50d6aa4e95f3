"""Protocols: one small codec each, without I/O. May import data and below."""

from __future__ import annotations

from collections.abc import Sequence

from loadtest.load.protocols.codec import Codec
from loadtest.load.protocols.invocations import MLflow, SageMaker
from loadtest.load.protocols.oip import OpenInference
from loadtest.load.protocols.predict import Predict

__all__ = ["Codec", "MLflow", "OpenInference", "Predict", "SageMaker", "from_words"]


def from_words(words: Sequence[str]) -> Codec:
    """The codec that ``Codec.words`` describes.

    Raises:
        ValueError: there is no such protocol.
    """
    match list(words):
        case ["oip", model, tensor, datatype]:
            return OpenInference(model, tensor, datatype)
        case ["kserve-v1" | "tfserving" as protocol, model]:
            return Predict(protocol, model)
        case ["mlflow", *columns]:
            return MLflow(tuple(columns))
        case ["sagemaker"]:
            return SageMaker()
    raise ValueError(f"no protocol {words!r}")
