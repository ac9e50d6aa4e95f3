"""``/invocations`` of MLflow's scoring server and of SageMaker's containers.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/#inference-server-specification
https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import orjson
from numpy.typing import NDArray

from contract.label_text import label_text
from loadtest.load.protocols.codec import single


@dataclass(frozen=True)
class MLflow:
    """``MLflow(("age", "income"))``: a data frame of one row, with the names of its columns."""

    columns: tuple[str, ...]
    content_type: ClassVar[str] = "application/json"
    path: ClassVar[str] = "/invocations"

    @property
    def words(self) -> list[str]:
        """``["mlflow", *columns]``."""
        return ["mlflow", *self.columns]

    def encode(self, row: NDArray[np.float64]) -> bytes:
        """The row as ``dataframe_split``."""
        return orjson.dumps({"dataframe_split": {"columns": self.columns, "data": [row.tolist()]}})

    def decode(self, body: bytes) -> str:
        """The one element of ``predictions`` (before MLflow 2: of the list that is the answer)."""
        try:
            answer = orjson.loads(body)
            return single(answer["predictions"] if isinstance(answer, dict) else answer)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("no predictions with exactly one element") from error


@dataclass(frozen=True)
class SageMaker:
    """``SageMaker()``: the row as CSV; the answer as CSV or JSON, as the built-in algorithms give it."""

    content_type: ClassVar[str] = "text/csv"
    path: ClassVar[str] = "/invocations"

    @property
    def words(self) -> list[str]:
        """``["sagemaker"]``."""
        return ["sagemaker"]

    def encode(self, row: NDArray[np.float64]) -> bytes:
        """The features, by commas; whole ones without a point."""
        return ",".join(f"{x:.0f}" if x.is_integer() else repr(x) for x in row.tolist()).encode()

    def decode(self, body: bytes) -> str:
        """The one prediction."""
        try:
            answer = orjson.loads(body)
        except ValueError:
            (text,) = body.decode("utf-8").strip().splitlines() or [""]
            if not text or "," in text or text[0] in "{[<":
                raise ValueError("not one prediction") from None
            return label_text(text.strip().strip('"'))
        wrapped = isinstance(answer, dict) and "predictions" in answer
        return single(answer["predictions"] if wrapped else answer)
