"""Arrays of a tree, checked: what a file says they are is what a predictor indexes with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
MOST_VALUES = 2**20
"""Numbers per row that a model may give."""


def require(condition: Any, what: str) -> None:
    """Refuse a file of which ``what`` does not fit the rest.

    Raises:
        ValueError: it does not.
    """
    if not condition:
        raise ValueError(f"{what} does not fit the rest of it")


def integers(given: Any, what: str, length: int | None = None) -> Integers:
    """A list of whole numbers as an array of shape (length,).

    Raises:
        ValueError: it is something else.
    """
    if isinstance(given, list):
        require(all(type(one) is int or type(one) is bool for one in given), what)
    found = np.asarray(given if len(given) else np.zeros(0, np.int64))
    require(found.ndim == 1 and found.dtype.kind in "iub", what)
    require(length is None or len(found) == length, what)
    return found.astype(np.int64)


def check_within(found: Integers, low: int, high: int, what: str) -> None:
    """Refuse an index below ``low``, or not below ``high``.

    Raises:
        ValueError: there is one.
    """
    require(not len(found) or (found.min() >= low and found.max() < high), what)


def check_segments(found: Integers, end: int, what: str) -> None:
    """Refuse places that do not begin at 0, fall, or end elsewhere than ``end``.

    Raises:
        ValueError: they do.
    """
    require(len(found) and found[0] == 0 and found[-1] == end and (np.diff(found) >= 0).all(), what)
