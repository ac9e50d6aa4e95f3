"""Fan-out: which versions get the row of an arrival, in which order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

from loadtest.experiment.load import Load


def duet(candidate_first: bool) -> tuple[int, ...]:
    """Duet traffic: an arrival goes to both versions at once, in the drawn order (places in ``ROLES``)."""
    return (1, 0) if candidate_first else (0, 1)


def duet_with_control() -> Callable[[bool], tuple[int, ...]]:
    """The same with a control, which is first, second and last in turn: on average nobody is before it."""
    turns = itertools.cycle(range(3))

    def versions(candidate_first: bool) -> tuple[int, ...]:
        both, turn = duet(candidate_first), next(turns)
        return *both[:turn], 2, *both[turn:]

    return versions


PINNED: Mapping[str, Callable[[bool], tuple[int, ...]]] = {
    "duet": duet,
    "stable": lambda _: (0,),
    "candidate": lambda _: (1,),
}
"""Per kind of pinned traffic: which versions get the row of an arrival, in which order."""


def pinned(load: Load) -> Callable[[bool], tuple[int, ...]] | None:
    """As ``PINNED``, with a control where the load has one; None: the gateway chooses the version."""
    return duet_with_control() if load.control else PINNED.get(load.traffic)
