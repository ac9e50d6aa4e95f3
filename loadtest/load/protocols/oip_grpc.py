"""The Open Inference Protocol v2 over gRPC, as Triton, MLServer and KServe speak it beside REST.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_grpc.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, ClassVar
from urllib.parse import urlsplit

from contract.counted import counted
from contract.datatypes import FLOATS
from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, ExperimentError
from loadtest.experiment.role import ROLES
from loadtest.experiment.target import Target
from loadtest.load.protocols.codec import register
from loadtest.load.protocols.oip import OpenInference
from loadtest.load.protocols.oip_messages import infer_outputs, infer_request

_SERVICE = "/inference.GRPCInferenceService/"


@register("oip-grpc")
@dataclass(frozen=True)
class OpenInferenceGrpc(OpenInference):
    """What ``OpenInference`` sends, as protobuf: ``OpenInferenceGrpc("shop", "features", "FP64")``.

    Elements go into the typed contents, or, with half precision among them, into the raw ones; both are read.
    """

    transport: ClassVar[str] = "grpc"
    remedy: ClassVar[str] = "is it the port of gRPC? With REST, it is --protocol oip"

    @classmethod
    def check_target(cls, target: Target) -> None:
        """There is no path below a URL: gRPC has its own.

        Raises:
            ExperimentError: a URL has one, or a key is given that this protocol does not take.
        """
        super().check_target(target)
        for role in ROLES:
            if urlsplit(target.url(role)).path.strip("/"):
                raise ExperimentError(
                    f"{target.url(role)}: gRPC has no path of its own choice; give scheme, host and port, "
                    "such as http://127.0.0.1:8081"
                )

    @staticmethod
    def metadata_path(model: str) -> str:  # noqa: ARG004 - the request names it
        """The call that says what the model's input is."""
        return f"{_SERVICE}ModelMetadata"

    @property
    def path(self) -> str:
        """The call of the prediction."""
        return f"{_SERVICE}ModelInfer"

    @property
    def content_type(self) -> str:
        """That of every call."""
        return "application/grpc"

    def check(self, dataset: Dataset) -> None:
        """As with REST; and there is no missing text or integer, where JSON has ``null``."""
        super().check(dataset)
        if isinstance(self.datatype, str):
            return
        places = self.places or range(len(dataset.names))
        for place, datatype in zip(places, self.datatype, strict=True):
            cells = dataset.columns[dataset.names[place]]
            if cells.null_count and datatype not in FLOATS:
                raise DatasetError(
                    f"{dataset.path}: column {dataset.names[place]!r} has "
                    f"{counted(cells.null_count, 'gap')}, and gRPC "
                    f'has no missing {datatype}; fill gaps, or write protocol = "oip"'
                )

    def encode_rows(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """Rows as with REST; a missing number is NaN."""
        tensors, more = self.tensors(rows)
        for tensor in tensors:
            tensor["data"] = [nan if cell is None else cell for cell in tensor["data"]]
        return infer_request(self.model, tensors, more)

    def outputs(self, body: bytes) -> list[dict[str, Any]]:
        """The outputs of a ``ModelInferResponse``."""
        return infer_outputs(body)
