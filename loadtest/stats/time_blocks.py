"""Time blocks: into which parts a run is cut, so that the parts are nearly independent.

At a constant rate all blocks are equal. Where the load has phases, no block straddles two of them: what
differs between phases was planned and is no chance, so only the spread of the blocks *within* each phase
counts (Wolter 2007, Introduction to Variance Estimation, section 4.5, the stratified jackknife).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

SHORTEST_BLOCK = 2.5
"""Seconds; shorter blocks are not independent."""
_PIECE = 2**16
"""Times that are looked up at once: wider numbers than their blocks need are for so many only."""
_ENOUGH_PER_PHASE = 6
"""Blocks of a phase, where it is long enough: a spike's own spread must be known from more than two."""


@dataclass(frozen=True)
class TimeBlocks:
    """Where a run is cut.

    Args:
        edges: seconds, ascending, shape (blocks + 1,).
        phase: of each block, shape (blocks,); None where the rate does not change and all blocks are equal.
    """

    edges: Floats
    phase: Places | None = None

    @classmethod
    def cut(cls, duration: float, blocks: int, phase_ends: Sequence[float] = ()) -> TimeBlocks:
        """Cut ``duration`` seconds into ``blocks``, or somewhat more where a phase would have too few.

        ``phase_ends`` ascend, the last is ``duration``, and each phase holds two shortest blocks.
        """
        if len(phase_ends) < 2:
            return cls(np.linspace(0.0, duration, blocks + 1))
        begins = np.array([0.0, *phase_ends[:-1]])
        lengths = np.asarray(phase_ends) - begins
        most = np.maximum((lengths / SHORTEST_BLOCK + 1e-6).astype(np.intp), 2)
        counts = np.clip(np.round(blocks * lengths / duration), np.minimum(most, _ENOUGH_PER_PHASE), most)
        per_phase = counts.astype(np.intp)
        edges = [b + n * np.arange(k) / k for b, n, k in zip(begins, lengths, per_phase, strict=True)]
        return cls(np.append(np.concatenate(edges), duration), np.repeat(np.arange(len(lengths)), per_phase))

    def __len__(self) -> int:
        return len(self.edges) - 1

    @property
    def lengths(self) -> Floats:
        """Seconds of each block, shape (blocks,)."""
        return np.diff(self.edges)

    def of(self, times: Floats) -> NDArray[np.int16]:
        """The block of each time; times outside of the run fall to its end blocks."""
        found = np.empty(len(times), np.int16)
        for at in range(0, len(times), _PIECE):
            found[at : at + _PIECE] = np.clip(self._of(times[at : at + _PIECE]), 0, len(self) - 1)
        return found

    def _of(self, times: Floats) -> Places:
        if self.phase is None:
            place: Places = (times * (len(self) / self.edges[-1])).astype(np.intp)
            return place
        return np.searchsorted(self.edges, times, side="right") - 1


def whole_phases(ends: Sequence[float], duration: float) -> tuple[float, ...]:
    """The ends of the phases of a run that lasted ``duration`` seconds.

    A last phase that was cut off before it held two blocks is counted to the one before it.

    The ends ascend, as planned, in seconds.
    """
    kept = [end for end in ends if 0 < end <= duration - 2 * SHORTEST_BLOCK * 0.95]
    return (*kept, duration) if kept else ()
