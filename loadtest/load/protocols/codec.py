"""The contract of a protocol: a row becomes the body of a request, the body of an answer a prediction."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from contract.label_text import label_text


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
        """The prediction in the body of an answer, as ``label_text`` writes it.

        Raises:
            ValueError: it is not an answer to one row.
        """


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
    return label_text(data)
