"""What each row of a regression adds to a metric, from labels and answers of shape (rows,).

Names and definitions are scikit-learn's. Not finite where the metric is undefined for the answer; labels of
which it is undefined are refused before the load.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import scipy  # its parts are loaded where they are used: most of a second of every command
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LABELS: Mapping[str, Callable[[Floats], NDArray[np.bool_]]] = {
    "labels other than 0": lambda labels: labels != 0,
    "labels above 0": lambda labels: labels > 0,
    "labels of at least 0": lambda labels: labels >= 0,
    "labels above -1": lambda labels: labels > -1,
}
"""For which labels a metric is defined."""


def absolute(truth: Floats, answer: Floats) -> Floats:
    """Of MAE, of the median and of the largest error."""
    return np.asarray(np.abs(answer - truth))


def squared(truth: Floats, answer: Floats) -> Floats:
    """Of RMSE and R2."""
    return (answer - truth) ** 2


def squared_about_mean(truth: Floats, answer: Floats) -> Floats:
    """Of the explained variance; errors are counted from their mean."""
    error = answer - truth
    return np.asarray((error - error.mean()) ** 2)


def percentage(truth: Floats, answer: Floats) -> Floats:
    """Of MAPE, as a share of 1."""
    return np.asarray(np.abs(answer - truth) / np.abs(truth))


def symmetric_percentage(truth: Floats, answer: Floats) -> Floats:
    """Of sMAPE as in the M4 competition, 0 to 2; an answer of 0 to a label of 0 is right.

    Makridakis, Spiliotis and Assimakopoulos 2020, The M4 Competition, International Journal of Forecasting
    36.
    """
    size = np.abs(truth) + np.abs(answer)
    return np.asarray(np.divide(2 * np.abs(answer - truth), size, out=np.zeros_like(size), where=size != 0))


def pinball(truth: Floats, answer: Floats, quantile: float) -> Floats:
    """Of the pinball loss of a predicted ``quantile``."""
    below = truth - answer
    return np.where(below >= 0, quantile * below, (quantile - 1) * below)


def squared_log(truth: Floats, answer: Floats) -> Floats:
    """Of RMSLE; undefined for answers of -1 and below."""
    return np.where(answer > -1, (np.log1p(answer) - np.log1p(truth)) ** 2, np.nan)


def poisson(truth: Floats, answer: Floats) -> Floats:
    """Of the Poisson deviance; undefined for answers that are not above 0."""
    return np.where(answer > 0, 2 * (scipy.special.xlogy(truth, truth / answer) - truth + answer), np.nan)


def gamma(truth: Floats, answer: Floats) -> Floats:
    """Of the gamma deviance; undefined for answers that are not above 0."""
    return np.where(answer > 0, 2 * (np.log(answer / truth) + truth / answer - 1), np.nan)
