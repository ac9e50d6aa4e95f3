"""Which slices of the rows a candidate is worse on, among thousands, without being led on by chance.

Of each row it is only asked whether the candidate did worse, better, or as well as stable. In a slice where
the versions are equal, worse and better rows are fair coin flips: the exact sign test (McNemar 1947). Where
the candidate is worse elsewhere, too, the coin is bent by as much: worse everywhere is worse nowhere in
particular.

The search is corrected by Benjamini and Yekutieli 2001, whose procedure holds whatever the slices share, with
half of the error for slices by one column and half for those by two. Slices in which so few rows differ that
even all of them worse would prove nothing are not tested, which that number alone decides (Tarone 1990).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy  # its parts are loaded where they are used: most of a second of every command
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]
Codes = NDArray[np.int16]

ERROR = 0.05
"""At most this share of searches finds anything where the versions are equal."""
FEWEST = 50
"""Rows of a slice."""
MOST_LEVELS = 600
"""Levels of all columns that are paired; those of later columns are searched alone."""
WORK = 2e10
"""Bits that are compared in a search: of more rows, some are drawn by lot."""
_CONSIDERED = 200
"""Of the slices that are worse, how many are compared with one another."""


class Found(NamedTuple):
    """A slice on which the candidate is worse.

    Args:
        levels: one or two pairs of a column's place and its level.
        rows: in the slice, among those that were searched.
        worse: rows on which the candidate did worse.
        better: rows on which it did better.
        chance: the share of searches, at most, that find such a slice where the versions are equal.
    """

    levels: tuple[tuple[int, int], ...]
    rows: int
    worse: int
    better: int
    chance: float


class Search(NamedTuple):
    """Slices with enough rows that were looked at, the rows, and what was found, the surest first."""

    slices: int
    rows: int
    found: list[Found]


class Counts(NamedTuple):
    """Rows, worse rows and better rows of slices, shape (slices,) each."""

    rows: Floats
    worse: Floats
    better: Floats


def search(
    columns: Sequence[Codes], sign: NDArray[np.int8], most: int = 10, work: float = WORK, searches: int = 1
) -> Search:
    """Search all levels of all columns, and all pairs of levels of two columns.

    Args:
        columns: of each column each row's level, from 0, or -1 where it is in none; shape (rows,) each.
        sign: of each row 1 where the candidate did worse, -1 where it did better, else 0; shape (rows,).
        most: slices to return; those that others explain are left out.
        work: see ``WORK``.
        searches: how many of these are made of one run, by other metrics; they share ``ERROR`` and ``work``.
    """
    levels = [int(codes.max(initial=-1)) + 1 for codes in columns]
    begins = np.concatenate([[0], np.cumsum(levels)]).astype(np.intp)
    paired = int(np.searchsorted(begins, MOST_LEVELS, side="right")) - 1
    width = int(begins[min(paired, len(columns))])
    rows = int(min(len(sign), max(work / searches / max(width, 1) ** 2, 1)))
    if rows < len(sign):
        chosen = np.sort(np.random.default_rng(14).choice(len(sign), rows, replace=False))
        columns, sign = [codes[chosen] for codes in columns], sign[chosen]
    total = counts_of(sign)
    parts = 2 * searches
    alone, where_alone = _singles(columns, levels, sign)
    pairs, where_pairs = _pairs(columns[:paired], begins[: paired + 1], sign)
    tested = [
        (counts, where, _adjusted(counts, total, ERROR / parts) * parts)
        for counts, where in ((alone, where_alone), (pairs, where_pairs))
    ]
    candidates = [
        Found(where[i], int(counts.rows[i]), int(counts.worse[i]), int(counts.better[i]), float(chance[i]))
        for counts, where, chance in tested
        for i in np.flatnonzero(chance <= ERROR).tolist()
    ]
    slices = sum(len(counts.rows) for counts, _, _ in tested)
    return Search(slices, len(sign), _unexplained(candidates, columns, sign, most))


def counts_of(sign: NDArray[np.int8]) -> Counts:
    """All rows as one slice, shape () each."""
    return Counts(*(np.array(float(n)) for n in (len(sign), (sign > 0).sum(), (sign < 0).sum())))


class _Where:
    """The levels of slices, made when they are asked for: there may be a hundred thousand."""

    def __init__(self, first: Places, second: Places | None, begins: Places) -> None:
        self._ends = (first,) if second is None else (first, second)
        self._begins = begins

    def __getitem__(self, i: int) -> tuple[tuple[int, int], ...]:
        return tuple(self._level(int(end[i])) for end in self._ends)

    def _level(self, place: int) -> tuple[int, int]:
        column = int(np.searchsorted(self._begins, place, side="right")) - 1
        return column, place - int(self._begins[column])


def _singles(
    columns: Sequence[Codes], levels: Sequence[int], sign: NDArray[np.int8]
) -> tuple[Counts, _Where]:
    counted = []
    for flags in (slice(None), sign > 0, sign < 0):
        each = [
            np.bincount(codes[flags][codes[flags] >= 0], minlength=count)
            for codes, count in zip(columns, levels, strict=True)
        ]
        counted.append(np.concatenate([np.zeros(0), *each]))
    rows = counted[0]
    kept = np.flatnonzero((rows >= FEWEST) & (rows < len(sign)))
    begins = np.concatenate([[0], np.cumsum(levels)]).astype(np.intp)
    return Counts(*(each[kept] for each in counted)), _Where(kept, None, begins)


def _pairs(columns: Sequence[Codes], begins: Places, sign: NDArray[np.int8]) -> tuple[Counts, _Where]:
    """Rows of all pairs of levels of two columns."""
    counted = [_together(columns, begins, flags) for flags in (None, sign > 0, sign < 0)]
    rows = counted[0]
    each = zip(columns, np.diff(begins), strict=True)
    alone = np.concatenate([np.zeros(0), *(np.bincount(c[c >= 0], minlength=n) for c, n in each)])
    # a slice that is all of a level is that level
    kept = (rows >= FEWEST) & (rows < np.minimum(alone[:, None], alone[None, :]))
    first, second = np.nonzero(kept)
    return Counts(*(each[first, second] for each in counted)), _Where(first, second, begins)


def _together(columns: Sequence[Codes], begins: Places, flags: Flags | None) -> Floats:
    """How many of the marked rows are in both of two levels, of the first level's column and a later one's.

    A bit per row and level: a matrix product takes ten times as long where other threads have the cores.
    """
    width = int(begins[-1])
    chosen = columns if flags is None else [codes[flags] for codes in columns]
    counted = np.zeros((width, width))
    if not width or not len(chosen[0]):
        return counted
    words = -(-len(chosen[0]) // 64)
    bits = np.zeros((width, 8 * words), dtype=np.uint8)
    for codes, first, end in zip(chosen, begins[:-1], begins[1:], strict=True):
        for level in range(end - first):
            packed = np.packbits(codes == level)
            bits[first + level, : len(packed)] = packed
    whole = bits.view(np.uint64)
    for first, end in itertools.pairwise(begins.tolist()):
        for level in range(first, end):
            both = np.bitwise_count(whole[end:] & whole[level])
            counted[level, end:] = both.sum(axis=1, dtype=np.int64)
    return counted


def sign_test(counts: Counts, total: Counts) -> Floats:
    """The chance of at least so many worse rows among those that differ, shape (slices,).

    Each is a coin flip: fair, or bent so that worse rows outnumber better ones as on the rows outside.
    """
    outside = np.maximum(total.rows - counts.rows, 1)
    excess = ((total.worse - counts.worse) - (total.better - counts.better)) / outside
    differing = np.maximum(counts.worse + counts.better, 1)
    coin = np.minimum(0.5 + np.maximum(excess, 0) * counts.rows / (2 * differing), 1.0)
    found = scipy.special.betainc(np.maximum(counts.worse, 1), counts.better + 1, coin)
    return np.where(counts.worse > 0, found, 1.0)


def _adjusted(counts: Counts, total: Counts, error: float) -> Floats:
    """The smallest error at which each slice is found; 1 for those that are not tested."""
    adjusted = np.ones(len(counts.rows))
    tested = np.flatnonzero(counts.worse + counts.better >= _differing(counts, error))
    if not len(tested):
        return adjusted
    part = Counts(*(each[tested] for each in counts))
    p = sign_test(part, total)
    order = np.argsort(p)
    m = len(p)
    steps = p[order] * m * _harmonic(m) / np.arange(1, m + 1)
    adjusted[tested[order]] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return adjusted


def _differing(counts: Counts, error: float) -> int:
    """How many rows of a slice must differ for it to be tested."""
    differing = counts.worse + counts.better
    for least in range(1, 64):
        m = int((differing >= least).sum())
        if not m or 0.5**least <= error / (m * _harmonic(m)):
            return least
    return 64


def _harmonic(m: int) -> float:
    return math.fsum(1 / i for i in range(1, m + 1)) if m < 1000 else math.log(m) + 0.5772157 + 0.5 / m


def _unexplained(
    candidates: list[Found], columns: Sequence[Codes], sign: NDArray[np.int8], most: int
) -> list[Found]:
    """The surest first; one that is no worse without the rows of those before it says nothing new."""
    ranked = sorted(candidates, key=lambda one: (_surprise(one), one.rows))[:_CONSIDERED]
    left, kept = np.ones(len(sign), dtype=bool), list[Found]()
    for one in ranked:
        inside = rows_of(one, columns)
        rest = counts_of(sign[inside & left])
        if kept and float(sign_test(rest, counts_of(sign[left]))) > ERROR / _CONSIDERED:
            continue
        kept.append(one)
        left &= ~inside
        if len(kept) == most:
            break
    return kept


def _surprise(one: Found) -> float:
    """About the logarithm of the sign test, which itself is too small for a float in large slices."""
    n = one.worse + one.better
    return (
        -float(scipy.special.rel_entr(one.worse / n, 0.5) + scipy.special.rel_entr(one.better / n, 0.5)) * n
    )


def rows_of(one: Found, columns: Sequence[Codes]) -> Flags:
    """Which rows are in a slice, shape (rows,)."""
    inside: Flags = np.logical_and.reduce([columns[column] == level for column, level in one.levels])
    return inside
