from pathlib import Path

import numpy as np
import pyarrow as pa

from loadtest.data.dataset import Dataset
from loadtest.load.protocols import Codec
from loadtest.load.sending.arrivals import Schedule
from loadtest.load.sending.request_bodies import encode_bodies


class Comma(Codec):
    """A codec that shows what it was given."""

    path = "/predict"

    def encode(self, row):
        return ",".join(f"{value:g}" for value in row).encode()

    def encode_rows(self, rows):
        return b";".join(map(self.encode, rows))

    def decode(self, body):
        return body.decode()


def schedule(rows, size=None):
    sizes = None if size is None else np.array(size, np.int32)
    arrivals = np.arange(len(rows if size is None else size), dtype=float)
    return Schedule(arrivals, np.array(rows, np.int32), arrivals > 0, size=sizes)


def test_only_the_rows_that_are_sent_are_encoded_once():
    data = Dataset(
        path=Path("e.parquet"),
        matrix=np.arange(6000.0).reshape(3000, 2),
        names=("a", "b"),
        labels=np.asarray(["0"] * 3000),
        values=None,
        columns=pa.table({}),
    )
    pauses = []
    bodies = encode_bodies(data, Comma(), schedule([7, 2, 7]), lambda: pauses.append(7))
    assert bodies == {7: b"14,15", 2: b"4,5"}
    assert not pauses
    # a long preparation lets others run in between
    long = encode_bodies(data, Comma(), schedule(range(1200)), lambda: pauses.append(1))
    assert (len(long), pauses) == (1200, [1, 1])
    # requests of several rows, by their places
    several = encode_bodies(data, Comma(), schedule([7, 2, 7], size=[2, 1]), lambda: None)
    assert several == {0: b"14,15;4,5", 1: b"14,15"}
