"""``/invocations`` of MLflow's scoring server.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/#inference-server-specification
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import orjson

from loadtest.load.protocols.class_scores import ClassScores
from loadtest.load.protocols.codec import Codec, register
from loadtest.load.protocols.json_answers import Scores, one, part, prediction, scored


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
        return prediction(body, *self._way(body))

    def scored(self, classes: tuple[str, ...], *, named: bool, ask: Callable[[str], Any]) -> Self:  # noqa: ARG002
        """A model that answers with scores does so unasked."""
        return replace(self, scores=ClassScores.of(classes, named=named))

    def decode_scores(self, body: bytes) -> tuple[str, Scores]:
        """The scores in the one element, alone or beside the label; columns may have the classes' names."""
        return scored(one(part(body, *self._way(body))), self.reader)

    def ranked_part(self, body: bytes) -> Any:
        """The one element of ``predictions``."""
        return one(part(body, *self._way(body)))

    @staticmethod
    def _way(body: bytes) -> tuple[str, ...]:
        return () if body.lstrip().startswith(b"[") else ("predictions",)
