"""``/invocations`` of MLflow's scoring server.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/#inference-server-specification
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import orjson

from loadtest.load.protocols.codec import Codec, prediction, register


@register("mlflow")
@dataclass(frozen=True)
class MLflow(Codec):
    """``MLflow(("age", "income"))``: a data frame of one row, with the names of its columns."""

    columns: tuple[str, ...]
    path: ClassVar[str] = "/invocations"
    typed: ClassVar[bool] = True

    @classmethod
    def for_model(cls, model: str, features: Sequence[str], ask: Callable[[str], Any]) -> Self:  # noqa: ARG003
        """One server has one model, which takes columns by name."""
        return cls(tuple(features))

    def encode(self, row: Sequence[Any]) -> bytes:
        """The row as ``dataframe_split``."""
        return orjson.dumps({"dataframe_split": {"columns": self.columns, "data": [row]}})

    def decode(self, body: bytes) -> str:
        """The one element of ``predictions`` (before MLflow 2: of the list that is the answer)."""
        return prediction(body, *() if body.lstrip().startswith(b"[") else ("predictions",))
