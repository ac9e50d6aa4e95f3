"""By how much one sample lies above another: Hodges and Lehmann's estimate, with Moses' interval.

The interval is that of the rank-sum test (Hodges and Lehmann 1963, Annals of Mathematical Statistics 34). It
asks for nothing but that a draw decided who belongs to which sample, and so it holds for values that depend
on each other over time.
"""

from __future__ import annotations

import numpy as np
import scipy  # its parts are loaded where they are used: most of a second of every command
from numpy.typing import NDArray

_MOST = 500
"""Values of a sample that are used: more than these say nothing that matters."""

Floats = NDArray[np.float64]


def location_shift(one: Floats, other: Floats, alpha: float) -> tuple[float, float, float]:
    """How far ``other`` lies above ``one``: the estimate and the ends of its interval.

    Args:
        one: values in the order in which they came, shape (n,).
        other: the same, shape (m,).
        alpha: error on each side of the interval.
    """
    one, other = one[:_MOST], other[:_MOST]
    apart = np.sort((other[:, None] - one[None, :]).ravel())
    n, m = len(one), len(other)
    beyond = n * m / 2 - float(scipy.special.ndtri(1 - alpha)) * (n * m * (n + m + 1) / 12) ** 0.5
    place = int(beyond)
    if place < 1:
        return float(np.median(apart)), -np.inf, np.inf
    return float(np.median(apart)), float(apart[place - 1]), float(apart[-place])
