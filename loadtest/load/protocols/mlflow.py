"""``/invocations`` of MLflow's scoring server.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/#inference-server-specification
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import orjson

from loadtest.load.protocols.codec import register
from loadtest.load.protocols.kserve_v1 import ListOfRows


@register("mlflow")
@dataclass(frozen=True)
class MLflow(ListOfRows):
    """``MLflow(("age", "income"))``: a data frame of one row, with the names of its columns."""

    columns: tuple[str, ...]
    path: ClassVar[str] = "/invocations"

    @classmethod
    def for_model(cls, model: str, features: Sequence[str], ask: Callable[[str], Any]) -> Self:  # noqa: ARG003
        """One server has one model, which takes columns by name."""
        return cls(tuple(features))

    def encode_rows(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """A data frame of the rows."""
        return orjson.dumps({"dataframe_split": {"columns": self.columns, "data": rows}})

    def way(self, body: bytes) -> tuple[str, ...]:
        """Before MLflow 2 the answer was the list."""
        return () if body.lstrip().startswith(b"[") else super().way(body)
