"""Where the time of a version's requests went, of a run that recorded it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtest.data.samples import SampleSet
from loadtest.data.timings import PARTS, parts_of
from loadtest.experiment.role import Role
from loadtest.judge.verdict import PartTime


def summarise_timings(samples: SampleSet, role: Role) -> dict[str, PartTime]:
    """The quantiles of each part over the requests that had it; empty where no time was recorded."""
    if not samples.timed:
        return {}
    place = samples.array("place", lambda chunk: pc.fill_null(chunk, 0), np.int16)
    wanted = samples.is_role(role) & (place == 0)
    found, begin = [np.empty((0, len(PARTS)), np.float32)], 0
    for chunk in samples.chunks("timings"):
        found.append(parts_of(chunk.filter(pa.array(wanted[begin : begin + len(chunk)]))))
        begin += len(chunk)
    columns = zip(PARTS, np.concatenate(found).T, strict=True)
    had = {name: column[~np.isnan(column)] for name, column in columns}
    return {name: PartTime.of(seconds.astype(np.float64)) for name, seconds in had.items() if len(seconds)}
