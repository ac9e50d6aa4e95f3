"""The chart of ranked lists: what the item in each place gains."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from loadtest.experiment.role import Role
from loadtest.report.binned_charts import TALL
from loadtest.report.charts import Figure
from loadtest.report.svg import Axis, Chart
from loadtest.stats import curves

_APART = 0.06
"""Of a place, how far each version stands beside it, so that intervals do not hide each other."""


def gain_by_place(gained: Mapping[Role, NDArray[np.float64]], alpha: float) -> Figure:
    """The mean gain of the item in each place of both versions' lists.

    Args:
        gained: by role, shape (distinct rows, places).
        alpha: what lies outside of an interval, on each side.
    """
    found = {role: curves.means_by_place(gains, alpha) for role, gains in gained.items()}
    places = max(len(each.rows) for each in found.values())
    top = max(float(each.high.max()) for each in found.values())
    chart = Chart(
        "Gain of the item in each place of both versions' lists",
        Axis(0.5, places + 0.5, [(place, str(place)) for place in range(1, places + 1)], "place in the list"),
        Axis.linear(0, top or 1.0, "mean gain"),
        height=TALL,
    )
    for side, (role, each) in zip((-_APART, _APART), found.items(), strict=True):
        at = each.predicted + side
        chart.whiskers(at, each.low, each.high, role)
        chart.line(at, each.happened, role)
        titles = [
            f"{role}: place {place:g}, mean gain {mean:.4f} ({low:.4f} to {high:.4f}) of {rows:,} rows"
            for place, mean, low, high, rows in zip(*each, strict=True)
        ]
        chart.dots(at, each.happened, role, titles)
    rows = min(len(gains) for gains in gained.values())
    caption = (
        f"Of {rows:,} distinct rows; uprights: {1 - alpha:.0%} on either side. A wanted item gains 1, or "
        "what its label says. The better list gains more in its first places and less in its last."
    )
    return Figure("Gain by place", chart.render(), caption)
