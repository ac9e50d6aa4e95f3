"""Request bodies: the bytes of every request, made before the load starts."""

from __future__ import annotations

from collections.abc import Callable

from loadtest.data.dataset import Dataset
from loadtest.errors import ExperimentError
from loadtest.load.protocols import Codec
from loadtest.load.sending.arrivals import Schedule

_AT_ONCE = 500
MOST_BYTES = 2**31
"""Of all bodies of a worker for one version: they are in memory while it sends."""


def encode_bodies(
    dataset: Dataset, codec: Codec, schedule: Schedule, pause: Callable[[], None]
) -> dict[int, bytes]:
    """The body of every distinct request, as ``schedule.requests`` names them; ``pause`` is called every few
    hundred, so that a worker goes on telling the master that it lives.

    Raises:
        ExperimentError: requests of several rows are too many bytes.
    """
    bodies: dict[int, bytes] = {}
    size, groups, cells = 0, schedule.groups, dict[int, list[object]]()
    for index, request in enumerate(sorted(set(schedule.requests)), start=1):
        if groups is None:
            body = codec.body_of(dataset, request)
        else:
            for row in groups[request]:
                if row not in cells:
                    cells[row] = codec.cells_of(dataset, row)
            body = codec.encode_rows([cells[row] for row in groups[request]])
            size += len(body)
        bodies[request] = body
        if size > MOST_BYTES:
            raise ExperimentError(
                f"the requests of this worker are more than {MOST_BYTES >> 30} GiB; lower [load] "
                "rows_per_request, the rate or the duration, or add workers"
            )
        if index % _AT_ONCE == 0:
            pause()
    return bodies
