"""How often the search for worse slices finds one where there is none, and how often a broken one.

Frames as customers' tables are: 8 columns of text with few frequent values and many rare ones, 12 of numbers,
skewed, with ties and gaps, all leaning on shared causes, of which the versions' errors depend, too. Every
answer of a version is drawn anew, so equal versions differ by chance alone.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loadtest.data.dataset import Dataset
from loadtest.experiment.sections import Data
from loadtest.judge.worse_slices import Levels, levels_of
from loadtest.stats import slice_search

SIZES = (1_000, 5_000, 20_000)
KINDS = {
    "labels, 4% differ": (0.04,),
    "labels, 10% differ": (0.10,),
    "numbers, all differ": (1.0,),
    "labels, 10% differ, and their log loss": (0.10, 1.0),
    "four outputs, all differ": (1.0, 1.0, 1.0, 1.0),
}
"""What is answered, and by each metric that is searched the share of the rows on which one of two equal
versions does better than the other."""
SHARED = 0.5
"""Of the rows, the share on which who does better by the first metric does so by another one, too."""
BROKEN, WORSE, EVERYWHERE = 0.05, (0.2, 0.4), 0.03
"""Share of rows in the broken slice; share of its rows, and of all rows, on which the candidate is worse."""
ALIKE = 0.5
"""A find is the broken slice if of the rows in either at least this share is in both (Jaccard 1901)."""
_RUNS_A_FRAME = 20

Floats = NDArray[np.float64]
Signs = NDArray[np.int8]


class Frame(NamedTuple):
    """Levels of all columns; per row how hard it is, and whether it is in the broken slice, shape (rows,)."""

    columns: list[Levels]
    hard: Floats
    broken: NDArray[np.bool_]


def measure(
    runs: int, seed: int, done: Sequence[dict[str, Any]] = (), until: float = math.inf
) -> Iterator[dict[str, Any]]:
    """Every kind of answers in every size, four times as many runs; see ``bounds.measure``."""
    runs *= 4
    before = {(row["what"], row["rows"]): row for row in done}
    for rows, (what, differ) in itertools.product(SIZES, KINDS.items()):
        old = before.get((what, rows))
        if old and (old["runs"] >= runs or time.monotonic() > until):
            yield old
        elif time.monotonic() <= until:
            yield cell(what, differ, rows, runs, seed)


def cell(what: str, differ: tuple[float, ...], rows: int, runs: int, seed: int) -> dict[str, Any]:
    """Equal versions, one worse everywhere, and ones broken on one slice; these by the last metric."""
    rng = np.random.default_rng([seed, 41, rows, *(round(100 * share) for share in differ)])
    finds = {"alarm": 0, "usual": 0, "everywhere": 0} | {f"finds_{100 * worse:.0f}": 0 for worse in WORSE}
    for run in range(runs):
        if run % _RUNS_A_FRAME == 0:
            frame = draw_frame(rows, rng)
        codes = [column.codes for column in frame.columns]
        *others, equal = draw_signs(frame, differ, rng)
        finds["alarm"] += bool(_found(codes, [*others, equal]))
        finds["usual"] += any(_any_alone(codes, sign) for sign in (*others, equal))
        everywhere = np.where(rng.random(rows) < EVERYWHERE, 1, equal).astype(np.int8)
        finds["everywhere"] += bool(_found(codes, [*others, everywhere]))
        for worse in WORSE:
            hit = frame.broken & (rng.random(rows) < worse)
            found = _found(codes, [*others, np.where(hit, 1, equal).astype(np.int8)])
            alike = [_jaccard(slice_search.rows_of(one, codes), frame.broken) for one in found]
            finds[f"finds_{100 * worse:.0f}"] += max(alike, default=0.0) >= ALIKE
    return {"what": what, "rows": rows, "runs": runs} | {name: n / runs for name, n in finds.items()}


def draw_frame(rows: int, rng: np.random.Generator) -> Frame:
    """An evaluation set of 20 columns, one slice of which is about to break."""
    causes = rng.normal(size=(rows, 4))
    columns: dict[str, pa.Array] = {}
    for i in range(8):
        values = int(rng.integers(3, 40))
        likely = 1 / np.arange(1, values + 1) ** 1.2
        # the rank of a noisy cause, cut where the values' shares end
        place = np.argsort(np.argsort(causes[:, i % 4] + rng.normal(size=rows))) / rows
        value = np.searchsorted(np.cumsum(likely / likely.sum()), place)
        columns[f"text {i}"] = pa.array([f"value {v}" for v in value.tolist()])
    for i in range(12):
        raw = np.exp(0.7 * causes[:, i % 4] + rng.normal(size=rows))
        shown = np.round(raw) if i % 3 == 0 else raw
        columns[f"number {i}"] = pa.array(shown, mask=rng.random(rows) < 0.05 if i % 4 == 1 else None)
    table = pa.table(columns)
    names = tuple(table.column_names)
    dataset = Dataset(Path("frame"), None, names, np.zeros(rows, dtype="<U1"), None, table)
    levels = levels_of(Data(path=Path("frame")), dataset, np.arange(rows))
    return Frame(levels, 1 / (1 + np.exp(-causes[:, 0])), _nearest(levels, rng))


def _nearest(levels: list[Levels], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Of many slices by one or two columns, the one whose share of the rows is nearest to ``BROKEN``."""
    drawn = []
    for _ in range(60):
        first, second = rng.choice(len(levels), 2, replace=False).tolist()
        inside = levels[first].codes == rng.integers(0, len(levels[first].names))
        if rng.random() < 0.5:
            inside = inside & (levels[second].codes == rng.integers(0, len(levels[second].names)))
        drawn.append(inside)
    return min(drawn, key=lambda inside: abs(inside.mean() - BROKEN))


def _found(codes: list[slice_search.Codes], signs: list[Signs]) -> list[slice_search.Found]:
    """What a run's search finds by any of its metrics."""
    return [one for sign in signs for one in slice_search.search(codes, sign, searches=len(signs)).found]


def draw_signs(frame: Frame, differ: tuple[float, ...], rng: np.random.Generator) -> list[Signs]:
    """By each metric who did better on each row, of two equal versions that err on hard rows more often."""
    rows = len(frame.hard)
    signs = []
    first = None
    for share in differ:
        chance = np.minimum(share * frame.hard / frame.hard.mean(), 1.0) if share < 1 else np.ones(rows)
        sign = np.where(rng.random(rows) < 0.5, 1, -1)
        if first is not None:
            sign = np.where(rng.random(rows) < SHARED, first, sign)
        first = sign if first is None else first
        signs.append(np.where(rng.random(rows) < chance, sign, 0).astype(np.int8))
    return signs


def _any_alone(codes: list[slice_search.Codes], sign: Signs) -> bool:
    """The usual way: each slice by one column on its own, at 5%."""
    nothing = slice_search.counts_of(sign[:0])
    for column in codes:
        for level in np.unique(column[column >= 0]).tolist():
            counts = slice_search.counts_of(sign[column == level])
            if float(slice_search.sign_test(counts, nothing)) < slice_search.ERROR:
                return True
    return False


def _jaccard(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))
