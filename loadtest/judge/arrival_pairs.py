"""Which two samples are of one arrival: stable's and the candidate's."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from loadtest.data.samples import SampleSet
from loadtest.judge.outcomes import Flags, Floats, NarrowPlaces, places_where
from loadtest.stats.pieces import pieces

_AT_ONCE = 2**18
"""Samples that are paired at once."""


def in_time(at: Floats, mask: Flags) -> NarrowPlaces:
    """The places at which ``mask`` is true, in order of time."""
    places = places_where(mask)
    return places[np.argsort(at[places], kind="stable")]


def pairs_of(
    samples: SampleSet, is_candidate: Flags, most: int = _AT_ONCE
) -> tuple[NarrowPlaces, NarrowPlaces]:
    """Places of the two samples of each arrival, in order of time: the same worker sent the same row at the
    same instant.

    The samples are of both versions, in any order; ``most`` are looked at at once, and all of one instant.
    """
    at, row, worker = samples.scheduled_at, samples.row, samples.worker
    order, n = _in_order(at), len(at)
    kind = np.int32 if n < 2**31 else np.intp
    found: list[tuple[NarrowPlaces, NarrowPlaces]] = [(np.empty(0, kind), np.empty(0, kind))]
    begin = 0
    while begin < n:
        end = min(begin + most, n)
        # all samples of one instant are looked at together
        last = at[end - 1 if order is None else order[end - 1]]
        end = bisect_right(
            range(n), last, lo=end, key=lambda place: at[place if order is None else order[place]]
        )
        some: NarrowPlaces = np.arange(begin, end, dtype=kind) if order is None else order[begin:end]
        each = _adjacent_pairs(at[some], row[some], worker[some], is_candidate[some])
        found.append((some[each[0]], some[each[1]]))
        begin = end
    stable, candidate = zip(*found, strict=True)
    return np.concatenate(stable), np.concatenate(candidate)


def _in_order(at: Floats) -> NarrowPlaces | None:
    """Places in order of time; None: they are."""
    later, earlier = at[1:], at[:-1]
    if all(np.all(later[piece] >= earlier[piece]) for piece in pieces(len(later))):
        return None
    return np.argsort(at, kind="stable").astype(np.int32 if len(at) < 2**31 else np.intp)


def _adjacent_pairs(
    at: Floats, row: NDArray[np.int32], worker: NDArray[np.int16], is_candidate: Flags
) -> tuple[NarrowPlaces, NarrowPlaces]:
    """The same, of samples in order of time."""
    if np.any(at[2:] == at[:-2]):
        order = np.lexsort((is_candidate, worker, row, at))
    else:  # hardly ever are two arrivals of the same instant
        order = np.arange(len(at))
        turned = np.flatnonzero((at[1:] == at[:-1]) & is_candidate[:-1] & ~is_candidate[1:])
        order[turned], order[turned + 1] = order[turned + 1], order[turned]
    candidate = is_candidate[order]
    same = candidate[1:] & ~candidate[:-1]
    for column in (worker, row, at):
        ordered = column[order]
        same &= ordered[:-1] == ordered[1:]
    return order[:-1][same], order[1:][same]
