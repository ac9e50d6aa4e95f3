"""What one version did, arrival by arrival."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Outcomes:
    """What one version did, one entry an arrival in order of time, shape (n,) each.

    Args:
        row: row of the evaluation set.
        at: intended send, seconds since the first arrival of the run.
        latency: seconds. A request without a usable answer counts as at least the time-out, so that
            a version that refuses quickly does not look fast.
        failed: no usable answer came.
        correct: the answer equals the label; False where it failed.
        unfaithful: the answer differs from the one given without load.
        referenced: there is such an answer to compare with.
        prediction: the answer as text, null where there is none.
    """

    row: NDArray[np.int32]
    at: Floats
    latency: Floats
    failed: Flags
    correct: Flags
    unfaithful: Flags
    referenced: Flags
    prediction: pa.Array

    def __len__(self) -> int:
        return len(self.row)

    @cached_property
    def by_latency(self) -> Places:
        """Places in ascending order of latency, sorted once for all gates."""
        return np.argsort(self.latency)

    def part(self, first: int, end: int, begin: float = 0.0) -> Outcomes:
        """The arrivals from place ``first`` up to ``end``, on a clock that is zero at ``begin``."""
        places = slice(first, end)
        return Outcomes(
            self.row[places],
            np.maximum(self.at[places] - begin, 0.0),
            self.latency[places],
            self.failed[places],
            self.correct[places],
            self.unfaithful[places],
            self.referenced[places],
            self.prediction[places],
        )

    def then(self, later: Outcomes) -> Outcomes:
        """These and ``later`` ones."""
        return Outcomes(
            np.concatenate([self.row, later.row]),
            np.concatenate([self.at, later.at]),
            np.concatenate([self.latency, later.latency]),
            np.concatenate([self.failed, later.failed]),
            np.concatenate([self.correct, later.correct]),
            np.concatenate([self.unfaithful, later.unfaithful]),
            np.concatenate([self.referenced, later.referenced]),
            pa.concat_arrays([self.prediction, later.prediction]),
        )

    def where(self, kept: Flags) -> Outcomes:
        """The arrivals at which ``kept``, shape (n,), is true."""
        mask = pa.array(kept)
        return Outcomes(
            self.row[kept],
            self.at[kept],
            self.latency[kept],
            self.failed[kept],
            self.correct[kept],
            self.unfaithful[kept],
            self.referenced[kept],
            self.prediction.filter(mask),
        )
