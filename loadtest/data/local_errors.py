"""Errors of a request that are the load generator's own, and what to do about each: never a version's."""

from __future__ import annotations

LOCAL_ERRORS = {
    "no port free": "its machine has no port left for new connections: take servers that keep connections "
    "alive, lower the rate, add workers on other machines, or widen net.ipv4.ip_local_port_range",
    "too many open files": "it may open no more files: raise `ulimit -n`, or lower the rate or the time-out",
    "no memory": "its machine has no memory left for connections: lower the rate, or give it more memory",
    "no route": "its machine has no route to the target: check its network, or give another URL",
    "name not resolved": "its machine cannot resolve the target's name: check the name and the resolver",
}
"""By the phrase that stands in a sample's ``error``."""


def local_trouble(counts: dict[str, int]) -> str | None:
    """Why a measurement is no good in which the generator itself was in trouble; None: it was not.

    Args:
        counts: samples by the phrase of their error.
    """
    kind = max((kind for kind in counts if kind in LOCAL_ERRORS), key=lambda k: counts[k], default=None)
    if kind is None:
        return None
    many = f"{counts[kind]:,} times"
    return f"requests failed in the load generator itself ({kind}, {many}): {LOCAL_ERRORS[kind]}"


def overfull(in_flight: int, files: int | None) -> str:
    """Why the generator can have no more requests in flight.

    Args:
        in_flight: requests without an answer.
        files: how many files it may open, where that is what limits it; None: the target is slow.
    """
    text = f"{in_flight:,} requests were in flight, as many as the load generator can hold"
    if files is None:
        return f"{text}: the target is too slow for this rate; lower the rate or the time-out, or add workers"
    more = "raise `ulimit -n`, lower the rate or the time-out, or add workers"
    return f"{text} with at most {files:,} open files: {more}"
