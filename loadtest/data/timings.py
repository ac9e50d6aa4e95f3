"""Where the time of one request went: its parts, in the order of the sample's column ``timings``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


class Timings(NamedTuple):
    """Seconds of each part; NaN for a part that the request did not have, or did not reach.

    Args:
        dns: resolving the server's name, after all addresses failed.
        connect: opening a connection, with addresses that refused; where no kept-alive one was free.
        tls: the handshake on it.
        send: from the first byte of the request to the last one that the kernel took.
        wait: from then until the first byte of the answer was read; of gRPC, of its first header.
        receive: from then until the last byte.
    """

    dns: float
    connect: float
    tls: float
    send: float
    wait: float
    receive: float


PARTS = Timings._fields


def parts_of(lists: pa.Array) -> NDArray[np.float32]:
    """The column ``timings`` as shape (samples that have them, parts), NaN for null."""
    return np.asarray(pc.list_flatten(lists), dtype=np.float32).reshape(-1, len(PARTS))
