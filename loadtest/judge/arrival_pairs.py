"""Which two samples are of one arrival: stable's and the candidate's."""

from __future__ import annotations

import numpy as np

from loadtest.data.samples import SampleSet
from loadtest.judge.outcomes import Flags, Floats, Places


def in_time(at: Floats, mask: Flags) -> Places:
    """The places at which ``mask`` is true, in order of time."""
    places = np.flatnonzero(mask)
    return places[np.argsort(at[places], kind="stable")]


def pair(samples: SampleSet, is_candidate: Flags) -> tuple[Places, Places]:
    """Places of the two samples of each arrival: the same worker sent the same row at the same instant."""
    order = _by_arrival(samples, is_candidate)
    ordered = is_candidate[order]
    same = ordered[1:] & ~ordered[:-1]
    for key in ("worker", "row", "scheduled_at"):
        ordered = getattr(samples, key)[order]
        same &= ordered[:-1] == ordered[1:]
    return order[:-1][same], order[1:][same]


def _by_arrival(samples: SampleSet, is_candidate: Flags) -> Places:
    """Places in order of arrivals, stable's sample of each before the candidate's."""
    # samples come nearly in order, and hardly ever are two arrivals of the same instant: then one sort does
    at = samples.scheduled_at
    order = np.argsort(at, kind="stable")
    at = at[order]
    if np.any(at[2:] == at[:-2]):
        return np.lexsort((is_candidate, samples.worker, samples.row, samples.scheduled_at))
    turned = np.flatnonzero((at[1:] == at[:-1]) & is_candidate[order[:-1]] & ~is_candidate[order[1:]])
    order[turned], order[turned + 1] = order[turned + 1], order[turned]
    return order
