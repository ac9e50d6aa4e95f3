"""The expected calibration error: how far probabilities lie from the shares of what happened.

Naeini, Cooper and Hauskrecht 2015, Obtaining well calibrated probabilities using Bayesian binning, AAAI; of
more than two classes by the most probable one: Guo, Pleiss, Sun and Weinberger 2017, On calibration of modern
neural networks, ICML. It is never below 0, so of few rows it comes out too large, and most of all of a model
that is calibrated. In a bin whose gap has the standard error s, by at most s sqrt(2 / pi), the mean of a half
normal distribution: so much is the interval's lower end further away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadtest.stats import means
from loadtest.stats.bootstrap import JackknifeEstimate

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

BINS = 15
"""Of equal width; each has its upper end, as with scikit-learn's ``calibration_curve``."""


@dataclass(frozen=True)
class BiasedUpwards:
    """An estimate that is on average too large by something between 0 and ``bias``."""

    plain: JackknifeEstimate
    bias: float

    @property
    def value(self) -> float:
        """As it comes out."""
        return self.plain.value

    def interval(self, alpha: float) -> tuple[float, float]:
        """Student's ends, the lower one without the bias."""
        low, high = self.plain.interval(alpha)
        return max(low - self.bias, 0.0), high

    def p_above(self, margin: float) -> float:
        """The level at which the interval's lower end is ``margin``."""
        return self.plain.p_above(margin + self.bias)

    def p_below(self, margin: float) -> float:
        """The level at which the interval's upper end is ``margin``."""
        return self.plain.p_below(margin)


def estimate(scores: Floats, truth: Places) -> BiasedUpwards:
    """Of one version.

    Args:
        scores: probabilities, shape (n, classes).
        truth: the place of each row's class, shape (n,).
    """
    rows = len(truth)
    chosen = np.ones(rows, np.intp) if scores.shape[1] == 2 else scores.argmax(axis=1)
    confidence = scores[np.arange(rows), chosen]
    place = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence)
    gap = confidence - (truth == chosen)
    sums, counts = np.bincount(place, gap, BINS), np.bincount(place, minlength=BINS)
    # each row's part: the bins' signs make absolute values of sums
    part = gap * np.where(sums < 0, -1.0, 1.0)[place]
    around = np.bincount(place, (gap - (sums / np.maximum(counts, 1))[place]) ** 2, BINS)
    variance = around * counts / np.maximum(counts - 1, 1)
    # of bins with a row or two, what the probabilities say of it
    variance = np.maximum(variance, np.bincount(place, confidence * (1 - confidence), BINS))
    bias = float(np.sqrt(variance).sum()) * math.sqrt(2 / math.pi) / rows
    plain = means.mean(part)
    return BiasedUpwards(
        JackknifeEstimate(plain.value, rows, 1.0, plain.error, plain.freedom, within=(0.0, 1.0)), bias
    )
