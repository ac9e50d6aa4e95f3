"""Means of a value per row, and their differences, by Student's t.

Values of rare rows are large: the degrees of freedom are those that the variance's own error has, by the
fourth moment (Satterthwaite 1946, An approximate distribution of estimates of variance components, Biometrics
Bulletin 2), and not the number of rows.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from loadtest.stats.estimate import StudentEstimate, independent_difference

Floats = NDArray[np.float64]


def mean(values: Floats) -> StudentEstimate:
    """The mean of ``values``, shape (n,); of a single one the error is infinite."""
    return _around(float(values.mean()), values - values.mean())


def difference(stable: Floats, candidate: Floats, *, paired: bool, relative: bool) -> StudentEstimate:
    """mean(candidate) - mean(stable), or mean(candidate) / mean(stable) - 1.

    Both have the shape (n,), and the same rows in the same order when ``paired``. Where it is ``relative``,
    stable's mean is above 0.
    """
    scale = float(stable.mean()) if relative else 1.0
    ratio = float(candidate.mean()) / scale if relative else 1.0
    value = float(candidate.mean() - stable.mean()) / scale
    parts = (ratio * (stable - stable.mean()) / scale, (candidate - candidate.mean()) / scale)
    if paired:
        return _around(value, parts[1] - parts[0])
    one, other = (_around(0.0, part) for part in parts)
    apart = independent_difference(one, other)
    return StudentEstimate(value, apart.error, apart.freedom)


def _around(value: float, deviations: Floats) -> StudentEstimate:
    return StudentEstimate(
        value, standard_error(deviations), freedom(deviations, most=max(len(deviations) - 1, 1))
    )


def standard_error(deviations: Floats) -> float:
    """Of a mean, from the deviations of its values from it."""
    n = len(deviations)
    return math.sqrt(float((deviations**2).sum()) / n / (n - 1)) if n > 1 else math.inf


def freedom(deviations: Floats, most: float) -> float:
    """Degrees of freedom of the variance of ``deviations``, shape (n,), at least 1 and at most ``most``."""
    largest = float(np.max(np.abs(deviations), initial=0.0))
    if not largest:
        return most
    squares = (deviations / largest) ** 2
    tails = float((squares**2).mean()) / float(squares.mean()) ** 2 - 1
    return min(max(2 * len(deviations) / tails, 1.0), most) if tails > 0 else most
