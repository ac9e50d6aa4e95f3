"""Request bodies: the bytes of every request, made before the load starts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from loadtest.data.dataset import Dataset
from loadtest.load.protocols import Codec

_AT_ONCE = 500


def encode_bodies(
    dataset: Dataset, codec: Codec, rows: NDArray[np.int32], pause: Callable[[], None]
) -> dict[int, bytes]:
    """The body of every distinct row of ``rows``; ``pause`` is called every few hundred.

    So a worker goes on telling the master that it lives.
    """
    bodies = {}
    for index, row in enumerate(np.unique(rows).tolist(), start=1):
        bodies[row] = codec.body_of(dataset, row)
        if index % _AT_ONCE == 0:
            pause()
    return bodies
