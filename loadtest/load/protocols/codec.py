"""The contract of a protocol: a row becomes the body of a request, the body of an answer a prediction.

::

    @register("mine")
    @dataclass(frozen=True)
    class Mine(Codec):
        model: str
        path = "/predict"

        def encode(self, row): return orjson.dumps({"model": self.model, "row": row})
        def decode(self, body): return prediction(body, "label")
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, ClassVar, Self, TypeVar

import orjson

from contract.label_text import label_text
from loadtest.data.dataset import Dataset

PROTOCOLS: dict[str, type[Codec]] = {}
"""Every protocol's codec by the protocol's name."""


_SAYS_AN_ERROR = {"error", "errors", "detail", "message", "exception"}


class NoAnswer(ValueError):  # noqa: N818 - it names what came
    """What stands where the prediction should be is the report of an error; its text is the message."""


class Codec(ABC):
    """What the load side needs to know of a protocol; subclasses are frozen dataclasses of texts."""

    protocol: ClassVar[str]
    content_type: ClassVar[str] = "application/json"

    @classmethod
    def for_model(cls, model: str, features: Sequence[str], ask: Callable[[str], Any]) -> Self:  # noqa: ARG003
        """The codec for a model on a server; here for protocols whose only argument is the model's name.

        Args:
            model: what the server calls it.
            features: names of the feature columns, in the order in which they are sent.
            ask: gives the decoded JSON that the server answers to a GET of a path.

        Raises:
            TargetError: the server does not answer, or the model takes what this codec cannot send.
            ExperimentError: the model takes other features than the evaluation set has.
        """
        return cls(model)  # type: ignore[call-arg]

    @property
    @abstractmethod
    def path(self) -> str:
        """Where requests go, below the target's base URL."""

    def check(self, dataset: Dataset) -> None:  # noqa: B027 - JSON takes every cell
        """Make sure that every cell of the evaluation set arrives as it is.

        Raises:
            UsageError: one does not; the message names the column.
        """

    @abstractmethod
    def encode(self, row: Sequence[Any]) -> bytes:
        """The body of the request for one row, which is as ``Dataset.row`` gives it."""

    @abstractmethod
    def decode(self, body: bytes) -> str:
        """The prediction in the body of an answer, as ``label_text`` writes it.

        Raises:
            ValueError: it is not an answer to one row; NoAnswer where it reports an error instead.
        """

    @property
    def words(self) -> dict[str, Any]:
        """The protocol and the arguments, for the way to a worker, which makes an equal codec of them."""
        arguments = {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]
        return {"protocol": self.protocol, **arguments}


_C = TypeVar("_C", bound=Codec)


def register(name: str) -> Callable[[type[_C]], type[_C]]:
    """Make a codec known under its protocol's name."""

    def known(codec: type[_C]) -> type[_C]:
        codec.protocol = name
        PROTOCOLS[name] = codec
        return codec

    return known


def prediction(body: bytes, *keys: str | int) -> str:
    """The one prediction in a JSON answer to one row: below ``keys``, in however many lists and names.

    Raises:
        ValueError: there is none, or more than one.
    """
    try:
        data = orjson.loads(body)
        for key in keys:
            data = data[key]
    except (LookupError, TypeError) as error:
        raise ValueError(f"no {'.'.join(map(str, keys))} in the answer") from error
    return single(data)


def single(data: Any) -> str:
    """The one prediction in decoded JSON; see ``prediction``."""
    while isinstance(data, list | dict):
        if isinstance(data, dict) and "predicted_label" in data:  # beside its score
            data = data["predicted_label"]
        elif isinstance(data, dict) and _SAYS_AN_ERROR.intersection(data):
            raise NoAnswer(orjson.dumps(data).decode())
        elif len(data) != 1:
            raise ValueError(f"{len(data)} elements where one prediction is expected")
        else:
            (data,) = data.values() if isinstance(data, dict) else data
    return label_text(data)
