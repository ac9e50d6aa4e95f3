"""What can be said of an experiment's gates before any load: which can so few rows never show to be met?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.judge.run import rows_of_slice
from loadtest.stats.estimate import Estimate
from loadtest.stats.proportions import PairedDifference, Share

_MOST = 1 << 24
"""Rows beyond which no one is told how many would be enough."""


def too_few_rows(experiment: Experiment, dataset: Dataset) -> Iterator[str]:
    """A line per gate that stays open even if both versions answer every row alike and, for a bound, right.

    Only of gates on shares of rows, whose best case is known.
    """
    alpha, load = 1 - experiment.confidence, experiment.load
    for gate in experiment.gates:
        best = _best_case(gate)
        if best is None:
            continue
        of_slice = rows_of_slice(gate, dataset)
        there = len(np.unique(dataset.content[of_slice]))
        sent = math.ceil(load.expected_rows * load.restarts * of_slice.mean())
        rows = min(there, sent)

        def meets(count: int, best: Callable[[int], Estimate] = best, margin: float = gate.margin) -> bool:
            return best(count).interval(alpha)[0] > margin

        if meets(rows) or not meets(_MOST):
            continue
        enough = _first(meets, rows)
        more = "more rows" if there < enough else "a longer load"
        bound = gate.against == "absolute" and gate.entry.test == "accuracy"
        best_of = "is right on all of them" if bound else "answers them as stable does"
        of = "row" if rows == 1 else "rows"
        of = f"distinct {of}" if there <= sent else f"{of} that the load sends"
        yield (
            f"gate {gate.expression!r} stays open with {rows:,} {of}, even if the candidate {best_of}: "
            f"it takes at least {enough:,}; give it {more}, or a wider margin"
        )


def _best_case(gate: Gate) -> Callable[[int], Estimate] | None:
    """From a number of rows to the best that they can show of versions that answer alike; None: not known."""
    if gate.relative:
        return None
    if gate.entry.test == "agreement" or (gate.against == "absolute" and gate.entry.test == "accuracy"):
        return lambda rows: Share(rows, rows)
    if gate.entry.test in ("accuracy", "ranking_hit") and gate.against == "stable":
        return lambda rows: PairedDifference(0, 0, rows)
    return None


def _first(meets: Callable[[int], bool], low: int) -> int:
    """The smallest number above ``low``, which is too small, that is large enough."""
    high = _MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if meets(middle) else (middle, high)
    return high
