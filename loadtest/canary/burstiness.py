"""Errors in bursts: how alike the outcomes of one moment are, and what they count for then."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Bursts:
    """Estimates the correlation of outcomes within a scrape, and scales counts down by it.

    Of ``n`` outcomes with the correlation ``rho`` only ``n / (1 + (n - 1) rho)`` count (Rao and Scott 1992, A
    simple method for the analysis of clustered binary data, Biometrics 48). ``rho`` is what both versions
    have shown so far: pairs of hits in one scrape, against the pairs that chance would give.
    """

    def __init__(self) -> None:
        # rows: hits, trials, ordered pairs of hits, ordered pairs of trials; a column a version
        self._seen = np.zeros((4, 2))

    @property
    def correlation(self) -> float:
        """Between two outcomes of one version in one scrape, 0 to 1."""
        hits, trials, hit_pairs, pairs = self._seen
        share = (hits + 0.5) / (trials + 1)
        chance = float(np.sum(pairs * share * (1 - share)))
        return float(np.clip(np.sum(hit_pairs - pairs * share**2) / chance, 0, 1)) if chance else 0.0

    def scale(self, hits: Sequence[float], trials: Sequence[float]) -> tuple[list[float], list[float]]:
        """Take in one scrape's counts, one of each version, and return what they count for."""
        k, n = np.asarray(hits, dtype=np.float64), np.asarray(trials, dtype=np.float64)
        self._seen += np.stack([k, n, k * np.maximum(k - 1, 0), n * np.maximum(n - 1, 0)])
        effect = 1 + np.maximum(n - 1, 0) * self.correlation
        return (k / effect).tolist(), (n / effect).tolist()
