"""How good a ranked list is: NDCG, hit, reciprocal rank, recall and average precision of its first k items.

The formulas are those of trec_eval (and NDCG that of scikit-learn: Järvelin and Kekäläinen 2002, with linear
gains). An item that stands twice in a list counts at its first place; its later ones earn nothing, and still
take their places. A list that is shorter than k is as good as one filled up with items that nobody wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


class Wanted(NamedTuple):
    """The relevant items of rows, in order of rows and, of each, of items.

    Args:
        row: shape (pairs,), ascending.
        item: its code, shape (pairs,), ascending within a row.
        gain: above 0, shape (pairs,).
    """

    row: Places
    item: Places
    gain: Floats

    def counts(self, rows: int) -> Floats:
        """Relevant items of each row, shape (rows,)."""
        return np.bincount(self.row, minlength=rows).astype(np.float64)

    def best(self, rows: int, k: int) -> Floats:
        """The discounted gain of the best list of ``k`` items, per row, shape (rows,)."""
        order = np.lexsort((-self.gain, self.row))
        row, gain = self.row[order], self.gain[order]
        rank = np.arange(len(row)) - np.searchsorted(row, row)
        first = rank < k
        return np.bincount(row[first], gain[first] / np.log2(rank[first] + 2), rows).astype(np.float64)


class Hits(NamedTuple):
    """The relevant items in the lists of arrivals, in order of arrivals and ranks.

    Args:
        arrival: whose list it is in, shape (hits,).
        row: that the arrival sent, shape (arrivals,).
        rank: from 0, shape (hits,).
        gain: shape (hits,).
    """

    arrival: Places
    row: Places
    rank: Places
    gain: Floats

    @classmethod
    def find(cls, wanted: Wanted, row: Places, lengths: Places, items: Places) -> Hits:
        """Look the items of lists up among the relevant ones.

        Args:
            wanted: of all rows.
            row: of each arrival, shape (arrivals,).
            lengths: of its list, shape (arrivals,).
            items: the codes in all lists, one list after the other; -1: relevant nowhere.
        """
        arrival = np.repeat(np.arange(len(row)), lengths)
        rank = np.arange(len(items)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        known = np.flatnonzero(items >= 0)
        arrival, rank, item = arrival[known], rank[known], items[known]
        size = max(int(wanted.item.max(initial=0)), int(item.max(initial=0))) + 1
        keys = wanted.row * size + wanted.item
        sought = row[arrival] * size + item
        place = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
        found = np.flatnonzero(keys[place] == sought)
        # the first place of an item in each list: keys are in order of ranks
        _, first = np.unique(arrival[found] * size + item[found], return_index=True)
        kept = found[np.sort(first)]
        return cls(arrival[kept], row, rank[kept], wanted.gain[place[kept]])

    def within(self, k: int) -> Hits:
        """Those among the first ``k`` items."""
        first = self.rank < k
        return Hits(self.arrival[first], self.row, self.rank[first], self.gain[first])

    def sums(self, values: Floats) -> Floats:
        """The sum of ``values``, one per hit, for each arrival, shape (arrivals,)."""
        return np.bincount(self.arrival, values, len(self.row)).astype(np.float64)


def ndcg(hits: Hits, wanted: Wanted, rows: int, k: int) -> Floats:
    """Normalised discounted cumulative gain, shape (arrivals,)."""
    hits = hits.within(k)
    return hits.sums(hits.gain / np.log2(hits.rank + 2)) / wanted.best(rows, k)[hits.row]


def hit(hits: Hits, wanted: Wanted, rows: int, k: int) -> Floats:  # noqa: ARG001 - one shape for all
    """1 where a relevant item is among the first ``k``, shape (arrivals,)."""
    hits = hits.within(k)
    return np.minimum(hits.sums(np.ones(len(hits.rank))), 1.0)


def reciprocal_rank(hits: Hits, wanted: Wanted, rows: int, k: int) -> Floats:  # noqa: ARG001
    """1 / rank of the first relevant item, from 1; 0 where none is among the first ``k``."""
    hits = hits.within(k)
    found = np.zeros(len(hits.row))
    np.maximum.at(found, hits.arrival, 1.0 / (hits.rank + 1))
    return found


def recall(hits: Hits, wanted: Wanted, rows: int, k: int) -> Floats:
    """Share of the row's relevant items that are among the first ``k``."""
    hits = hits.within(k)
    return hits.sums(np.ones(len(hits.rank))) / wanted.counts(rows)[hits.row]


def average_precision(hits: Hits, wanted: Wanted, rows: int, k: int) -> Floats:
    """Mean over the row's relevant items of the precision at each one's place; 0 for one beyond ``k``."""
    hits = hits.within(k)
    nth = np.arange(len(hits.arrival)) - np.searchsorted(hits.arrival, hits.arrival) + 1
    return hits.sums(nth / (hits.rank + 1)) / wanted.counts(rows)[hits.row]


PerRow = Callable[[Hits, Wanted, int, int], Floats]
"""(hits, the relevant items, rows, k) to a value per arrival."""
METRICS: dict[str, PerRow] = {
    "ndcg": ndcg,
    "hit": hit,
    "mrr": reciprocal_rank,
    "recall": recall,
    "map": average_precision,
}


def overlap(lengths: tuple[Places, Places], items: tuple[Places, Places], k: int) -> Floats:
    """Share of the first ``k`` items that two lists have in common, whatever their order, shape (arrivals,).

    Two empty lists are the same; of lists that are shorter than ``k``, the longer one counts as whole.

    ``lengths`` are of the lists of both versions, shape (arrivals,) each; ``items`` are their codes, one list
    after the other.
    """
    size = max(int(each.max(initial=0)) for each in items) + 1
    keys, counts = [], []
    for length, item in zip(lengths, items, strict=True):
        arrival = np.repeat(np.arange(len(length)), length)
        rank = np.arange(len(item)) - np.repeat(np.cumsum(length) - length, length)
        first = rank < k
        distinct = np.unique(arrival[first] * size + item[first])
        keys.append(distinct)
        counts.append(np.bincount(distinct // size, minlength=len(length)))
    both = np.intersect1d(keys[0], keys[1], assume_unique=True)
    common = np.bincount(both // size, minlength=len(lengths[0]))
    most = np.maximum(counts[0], counts[1])
    return np.where(most > 0, common / np.maximum(most, 1), 1.0)
