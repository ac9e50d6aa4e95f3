"""Windows of time: values that are nearly independent of each other although single requests are not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from loadtest.stats.sequential import FIRST_WINDOW, lower_bounds

ENOUGH = 20
"""Trials that each version needs in a window; a window with fewer goes on."""

Floats = NDArray[np.float64]


class Windows:
    """Sums the scrapes of a window, and keeps one value a window.

    Args:
        length: seconds that a window takes at least.
    """

    def __init__(self, length: float) -> None:
        self._length = length
        self._began: float | None = None
        self._sums: Floats | None = None
        self._values: list[float] = []

    def add(self, at: float, counts: Sequence[float], trials: Sequence[int]) -> list[float] | None:
        """Add what was counted since the last scrape.

        ``trials`` are the places in ``counts`` of which each must reach ``ENOUGH``.

        Returns:
            The sums of the window that ends with this scrape; None while it goes on.
        """
        if self._began is None:
            self._began = at  # what was counted before the first scrape belongs to no window
            return None
        now = np.asarray(counts, dtype=np.float64)
        self._sums = now if self._sums is None else self._sums + now
        if at - self._began < self._length - 1e-6 or min(self._sums[list(trials)]) < ENOUGH:
            return None
        ended, self._sums, self._began = self._sums, None, at
        return [float(count) for count in ended]

    def keep(self, value: float) -> None:
        """Take the value of a window."""
        self._values.append(value)

    def __len__(self) -> int:
        return len(self._values)

    def interval(self, alpha: float) -> tuple[float, float] | None:
        """The mean of the values, ``alpha`` on each side; holds at every moment. None: too few yet."""
        if len(self._values) < FIRST_WINDOW:
            return None
        values = np.array(self._values)
        return float(lower_bounds(values, alpha)[-1]), -float(lower_bounds(-values, alpha)[-1])

    def above(self, alpha: float) -> bool:
        """Whether the mean of the values has been shown to be above 0, at any moment so far."""
        return bool(self._values) and bool((lower_bounds(np.array(self._values), alpha) > 0).any())

    def below(self, alpha: float) -> bool:
        """The same, below 0."""
        return bool(self._values) and bool((lower_bounds(-np.array(self._values), alpha) > 0).any())
