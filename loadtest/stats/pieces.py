"""Arrays of many entries, a piece at a time.

NumPy turns every index into eight bytes and every weight into a float64 before it begins: of a hundred
million entries that is more than the entries themselves. Sums are added up in the order of the entries, so
they are those of ``numpy.bincount`` to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

PIECE = 2**18
"""Entries of a piece: what fits into a processor's cache."""

Floats = NDArray[np.float64]
_Number = TypeVar("_Number", bound=np.generic)


def pieces(entries: int) -> Iterator[slice]:
    """``entries`` in pieces, in their order."""
    return (slice(at, min(at + PIECE, entries)) for at in range(0, entries, PIECE))


def taken(values: NDArray[_Number], places: NDArray[np.integer]) -> NDArray[_Number]:
    """``values[places]``, shape (places,).

    Raises:
        IndexError: a place is below 0, or beyond the last of ``values``.
    """
    if len(places) and not (places.min() >= 0 and places.max() < len(values)):
        raise IndexError(f"places {places.min()} to {places.max()} of {len(values)} values")
    found = np.empty(len(places), values.dtype)
    for piece in pieces(len(places)):
        # where NumPy itself is to refuse, it fills a copy of ``out``
        np.take(values, places[piece], out=found[piece], mode="clip")
    return found


def add_up(sums: Floats, numbers: NDArray[np.integer], weights: NDArray[Any]) -> None:
    """Add each of ``weights`` to the sum of its number, as if ``numpy.bincount`` went on where it ended.

    Args:
        sums: so far, shape (size,).
        numbers: from 0 to ``size - 1``, shape (n,).
        weights: shape (n,).
    """
    np.add.at(sums, numbers.astype(np.intp, copy=False), weights.astype(np.float64, copy=False))


def summed(numbers: NDArray[np.integer], weights: NDArray[Any] | None, size: int) -> Floats:
    """The sum of the ``weights`` of each number, or how often it comes, shape (size,).

    Args:
        numbers: from 0 to ``size - 1``, shape (n,).
        weights: shape (n,); None: 1 each.
        size: of them all.
    """
    sums = np.zeros(size)
    for piece in pieces(len(numbers)):
        if weights is None:
            sums += np.bincount(numbers[piece], minlength=size)
        else:
            add_up(sums, numbers[piece], weights[piece])
    return sums


def variance(values: NDArray[Any]) -> float:
    """As ``numpy.var``; ``values``, shape (n,), n at least 1."""
    mean = values.mean()

    def squares(begin: int, end: int) -> float:
        if end - begin <= PIECE:
            return float(np.sum((values[begin:end] - mean) ** 2))
        # the halves that NumPy's pairwise summation takes
        middle = begin + (half := (end - begin) // 2) - half % 8
        return squares(begin, middle) + squares(middle, end)

    return squares(0, len(values)) / len(values)
