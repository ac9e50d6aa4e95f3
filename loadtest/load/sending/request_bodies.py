"""Payloads: the bytes of every request, made before the load starts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from loadtest.data.dataset import Dataset
from loadtest.load.protocols import Codec

_AT_ONCE = 500


class Payloads:
    """The bodies of the rows that a worker will send: ``payloads[row]``.

    ``prepare`` encodes some rows at a time, so that a worker can go on telling the master that it lives::

        payloads = Payloads(dataset, codec)
        for _ in payloads.prepare(schedule.row):
            gevent.sleep(0)
    """

    def __init__(self, dataset: Dataset, codec: Codec) -> None:
        self._dataset = dataset
        self._codec = codec
        self._bodies: dict[int, bytes] = {}

    def prepare(self, rows: NDArray[np.int32]) -> Iterator[int]:
        """Encode every distinct row of ``rows``; yields the number done so far, every few hundred."""
        for index, row in enumerate(np.unique(rows).tolist(), start=1):
            self._bodies[row] = self.encode(row)
            if index % _AT_ONCE == 0:
                yield index

    def encode(self, row: int) -> bytes:
        """The body of one row, now."""
        return self._codec.encode(self._dataset.features[row])

    def __getitem__(self, row: int) -> bytes:
        return self._bodies[row]

    def __len__(self) -> int:
        return len(self._bodies)
