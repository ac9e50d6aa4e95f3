"""The contract of a protocol: a row becomes the body of a request, the body of an answer a prediction."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray


class Codec(Protocol):
    """What the load side needs to know of a protocol."""

    content_type: ClassVar[str]

    @property
    def path(self) -> str:
        """Where requests go, below the target's base URL."""

    @property
    def words(self) -> list[str]:
        """The protocol's name and the codec's arguments, from which ``from_words`` makes an equal one."""

    def encode(self, row: NDArray[np.float64]) -> bytes:
        """The body of the request for one row; shape (features,)."""

    def decode(self, body: bytes) -> str:
        """The prediction in the body of an answer, as text.

        Raises:
            ValueError: it is not an answer to one row.
        """


def as_text(value: object) -> str:
    """A prediction as the text that labels are held against: ``1.0``, ``1`` and ``"1"`` are all ``1``.

    Raises:
        ValueError: it is neither text nor a number nor a truth value.
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() else repr(value)
    raise ValueError(f"{type(value).__name__} is no prediction")


def single(data: Any) -> str:
    """The one prediction in an answer to one row, however many lists and names it is wrapped in.

    Raises:
        ValueError: there is none, or more than one.
    """
    while isinstance(data, list | dict):
        if isinstance(data, dict) and "predicted_label" in data:  # beside its score
            data = data["predicted_label"]
        elif len(data) != 1:
            raise ValueError(f"{len(data)} elements where one prediction is expected")
        else:
            (data,) = data.values() if isinstance(data, dict) else data
    return as_text(data)
