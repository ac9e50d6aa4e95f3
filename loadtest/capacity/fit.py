"""The share of bad answers as a function of the rate, and the rate at which it reaches what is allowed.

In a queue the logarithm of the share of late answers rises about linearly with the rate, towards overload it
bends to 1; in the logarithm of the rate a probit curve follows both parts closely. Bad answers of a trial
come in bursts, so their counts spread more than binomial ones, as if answers of a trial were correlated; the
trials' own residuals scale that (quasi-likelihood, McCullagh and Nelder 1989, sections 4.5 and 9.2).
The rate is read off the curve backwards, with Fieller's interval (Fieller 1954).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SLOPE, _SLOPE_SD = 8.0, 8.0
"""Of the slope before any trial: queues whose service takes 1% to 20% of the limit have 18 to 3."""
_LEAST_SLOPE = 1.0
_CORRELATION = 0.15
"""Between answers of one trial, as the queues of tests/loadtest/capacity/queues.py show it (0.03 to 0.4)."""
_KNOWN_TRIALS = 3.0
"""How many trials' worth of evidence that is; the trials' own spread scales it."""
_SHAPE = 0.01, 0.02
"""What the ends of the interval are moved by, in log rate: low down, queues are steeper than a probit."""
_STEPS = 80
_LONGEST_STEP = np.array([0.5, 3.0])
_RIDGE = 1e-9
_BEYOND_ALL = 50.0


class Root(NamedTuple):
    """A rate with its interval, in requests per second, and the slope there (probits by log rate)."""

    rate: float
    low: float
    high: float
    slope: float


def find_root(rate: Floats, bad: Floats, total: Floats, allowed: float, alpha: float) -> Root | None:
    """The rate at which the share of bad answers is ``allowed``.

    Args:
        rate: of each trial, in requests per second, shape (trials,).
        bad: bad answers of each trial, same shape.
        total: all answers of each trial, same shape.
        allowed: the share that the objective allows, in (0, 1).
        alpha: one minus the confidence of the two-sided interval.

    Returns:
        The root; a side of its interval that the trials do not bound is 0 or infinite. None for fewer than
        three trials.
    """
    if len(rate) < 3:
        return None
    center = float(np.log(rate).mean())
    x = np.log(rate) - center
    target = float(scipy.special.ndtri(allowed))
    design = np.column_stack([np.ones_like(x), x])
    prior = np.diag([0.0, 1 / _SLOPE_SD**2])
    prior_mean = np.array([0.0, _SLOPE])
    beta = np.array([target, _SLOPE])
    bursts = 1 + _CORRELATION * (total - 1)
    for _ in range(_STEPS):
        share, rise = _probit(design @ beta)
        weight = rise / (share * (1 - share) * bursts)
        information = (design.T * (total * rise * weight)) @ design + prior
        score = design.T @ ((bad - total * share) * weight) - prior @ (beta - prior_mean)
        step = np.linalg.solve(information + _RIDGE * np.eye(2), score)
        beta = beta + np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
        beta[1] = max(beta[1], _LEAST_SLOPE)
        if np.abs(step).max() < 1e-8:
            break
    share, rise = _probit(design @ beta)
    variance = total * share * (1 - share)
    # a trial in which nothing was to be expected says nothing of the spread
    telling = np.minimum(variance, 1.0)
    spread = telling * (bad - total * share) ** 2 / np.maximum(variance * bursts, 1e-9)
    freedom = max(float(telling.sum()) - 2, 0.0) + _KNOWN_TRIALS
    scale = (float(spread.sum()) + _KNOWN_TRIALS) / freedom
    weight = total * rise**2 / (share * (1 - share) * bursts * scale)
    information = (design.T * weight) @ design + prior
    covariance = np.linalg.inv(information + _RIDGE * np.eye(2))
    low, high = _fieller(beta, covariance, target, float(scipy.special.stdtrit(freedom, 1 - alpha / 2)))
    root = (target - beta[0]) / beta[1]
    # the curve is not known to be a probit
    low, high = low - _SHAPE[0], high + _SHAPE[1]
    return Root(_exp(root + center), _exp(low + center), _exp(high + center), float(beta[1]))


def _fieller(
    beta: NDArray[Any], covariance: NDArray[Any], target: float, quantile: float
) -> tuple[float, float]:
    """The x with ``|a + b x - target| <= quantile * sd(a + b x)``."""
    distance, slope = beta[0] - target, beta[1]
    q = quantile**2
    a = slope**2 - q * covariance[1, 1]
    b = 2 * (distance * slope - q * covariance[0, 1])
    c = distance**2 - q * covariance[0, 0]
    if a <= 0:
        return -math.inf, math.inf
    width = math.sqrt(max(b * b - 4 * a * c, 0.0))
    return (-b - width) / (2 * a), (-b + width) / (2 * a)


def _exp(value: float) -> float:
    """A logarithm undone; what lies beyond all rates is unbounded."""
    return math.inf if value > _BEYOND_ALL else 0.0 if value < -_BEYOND_ALL else math.exp(value)


def _probit(value: Floats) -> tuple[Floats, Floats]:
    """The share at a point of the curve, and how fast it rises there."""
    value = np.clip(value, -7, 7)
    return np.asarray(scipy.special.ndtr(value)), np.exp(-(value**2) / 2) / math.sqrt(2 * math.pi)
