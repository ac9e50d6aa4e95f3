"""CatBoost's file: its reader verifies the offsets of the first part, and follows all else unchecked.

A file is ``CBM1``, then a table of the trees, then the tables of categories' statistics, each with its length
before it. What follows for texts and embeddings is left to the trial in a child.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from struct import unpack_from

import numpy as np

from services.model_server.boosters.arrays import MOST_VALUES, check_within, require
from services.model_server.boosters.flatbuffer import Table

_BINS = 254
"""Borders of a feature that one byte holds; the next ones go into another."""
_DEEPEST = 31
_TABLES = "static_provider_v1"
_NODE = np.dtype([("left", "<u2"), ("right", "<u2")])
_PACKED = np.dtype([("feature", "<u2"), ("mask", "u1"), ("split", "u1")])
_BUCKET = np.dtype([("hash", "<u8"), ("index", "<u4")])
_NO_HASH = 2**64 - 1

# fields by their numbers in CatBoost's schemas (catboost/libs/model/flatbuffers)
_TREES, _SETTINGS, _PARTS = 1, 2, 3
_DIMENSION, _SPLITS, _SIZES, _STARTS, _CATEGORIES, _FLOATS, _ONE_HOT, _STATISTICS = range(8)
_LEAVES, _WEIGHTS, _NODES, _LEAF_OF_NODE, _TEXTS, _ESTIMATED = range(8, 14)
_BIAS, _REPACKED, _EMBEDDINGS = 16, 17, 18
_COUNTS, _MEANS, _TOTALS = (0, 1), (2, 3), (4, 5)
"""Kinds of statistics: a count per class, a sum with a count, one number."""

Key = tuple[int, bytes, bytes, bytes]


def check_catboost(data: bytes) -> None:
    """Check one file: splits, leaves, features and buckets are within their arrays, lengths agree.

    Raises:
        ValueError: one does not; ``str(error)`` says which.
    """
    require(data[:4] == b"CBM1", "the first word")
    try:
        length, place = _length(data, 4)
        require(length <= len(data) - place, "the length of the first part")
        core = Table.root(data[place : place + length])
        trees = core.table(_TREES)
        if trees is None:
            raise ValueError("it holds no trees")
        # Python's wrapper fails at what is no text
        for setting in core.tables(_SETTINGS):
            for field in range(2):
                setting.text(field)
        bins, buckets = _check_features(trees)
        _check_trees(trees, bins, buckets)
        classes = {}
        if _TABLES in core.texts(_PARTS)[:1]:
            classes = _check_tables(data, place + length)
        for feature in trees.tables(_STATISTICS):
            _check_use(feature, classes)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _length(data: bytes, place: int) -> tuple[int, int]:
    """A length, and where what it counts begins."""
    (short,) = unpack_from("<I", data, place)
    return (short, place + 4) if short != 2**32 - 1 else (unpack_from("<Q", data, place + 4)[0], place + 12)


def _check_features(trees: Table) -> tuple[int, int]:
    """Check how features are numbered.

    Returns:
        How many conditions a split may name, and how many bytes of a row they take.
    """
    floats, categories = trees.tables(_FLOATS), trees.tables(_CATEGORIES)
    places: list[int] = []
    for features in (floats, categories, trees.tables(_TEXTS), trees.tables(_EMBEDDINGS)):
        # numbers say first whether they may be missing
        first = 1 if features is floats else 0
        indices = np.array([one.number(first, "<i", -1) for one in features])
        # the last one is taken for the largest
        require((np.diff(indices, prepend=-1) > 0).all(), "a feature's index")
        places += [one.number(first + 1, "<i", -1) for one in features]
        for one in features:
            one.text(4 if features is floats else 2)
    require(len(set(places)) == len(places), "a feature's place in a row")
    check_within(np.array(places, np.int64), 0, len(places), "a feature's place in a row")
    known = {one.number(0, "<i", -1) for one in categories if one.number(3, "<b", 1)}
    conditions = [len(one.numbers(3, "<f4")) for one in floats]
    conditions += [len(one.numbers(3, "<f4")) for one in trees.tables(_ESTIMATED)]
    for one in trees.tables(_ONE_HOT):
        require(one.number(0, "<i", -1) in known, "the category of a one-hot feature")
        conditions.append(len(one.numbers(1, "<i4")))
    conditions += [len(one.numbers(1, "<f4")) for one in trees.tables(_STATISTICS)]
    return sum(conditions), sum(-(-count // _BINS) for count in conditions)


def _check_trees(trees: Table, bins: int, buckets: int) -> None:
    dimension = trees.number(_DIMENSION, "<i", 0)
    require(1 <= dimension <= MOST_VALUES, "the number of values per row")
    splits, sizes, starts = (
        trees.numbers(field, "<i4").astype(np.int64) for field in (_SPLITS, _SIZES, _STARTS)
    )
    leaves, weights = len(trees.numbers(_LEAVES, "<f8")), len(trees.numbers(_WEIGHTS, "<f8"))
    require(leaves % dimension == 0 and weights in (0, leaves // dimension), "the number of leaves")
    require(len(trees.numbers(_BIAS, "<f8")) in (0, dimension), "the bias")
    require(len(starts) == len(sizes) and (sizes >= 0).all(), "the trees' sizes")
    require(
        np.array_equal(starts, np.cumsum(sizes) - sizes) and sizes.sum() == len(splits), "the trees' starts"
    )
    nodes, leaf_of = trees.numbers(_NODES, _NODE), trees.numbers(_LEAF_OF_NODE, "<u4").astype(np.int64)
    # trees of leaves alone name the condition 0, and there is none
    check_within(splits, 0, max(bins, 1) if len(nodes) else bins, "a split")
    packed = trees.numbers(_REPACKED, _PACKED)
    require(len(packed) in (0, len(splits)), "the packed splits")
    check_within(packed["feature"].astype(np.int64), 0, max(buckets, 1), "a packed split")
    if not len(nodes) and not len(leaf_of):
        require((sizes <= _DEEPEST).all(), "the trees' sizes")
        require(int((dimension << sizes).sum()) == leaves, "the number of leaves")
        return
    require(len(nodes) == len(leaf_of) == len(splits) and (sizes >= 1).all(), "the number of nodes")
    ends = np.repeat(starts + sizes, sizes)
    left, right = (nodes[side].astype(np.int64) for side in ("left", "right"))
    # a child after its parent: no path is endless
    require((np.arange(len(nodes)) + np.maximum(left, right) < ends).all(), "a child")
    last = leaf_of[(left == 0) | (right == 0)]
    require(not len(last) or (last.max() + dimension <= leaves and (last % dimension == 0).all()), "a leaf")


def _check_tables(data: bytes, place: int) -> dict[Key, int]:
    """Check the tables of categories' statistics; how many classes each counts."""
    found: dict[Key, int] = {}
    count, place = _length(data, place)
    for _ in range(count):
        length, place = _length(data, place)
        require(length <= len(data) - place, "the length of a table")
        table = Table.root(data[place : place + length])
        place += length
        key, classes = _key(table.table(0)), table.number(4, "<i", 0)
        require(key not in found, "a table that is in it twice")
        rows = table.numbers(1, "u1")
        require(len(rows) % _BUCKET.itemsize == 0, "a table's buckets")
        buckets = rows.view(_BUCKET)
        size = len(buckets)
        taken = buckets["index"][buckets["hash"] != _NO_HASH].astype(np.int64)
        # a search ends at a bucket that nobody has
        require(size and not size & (size - 1) and len(taken) < size, "a table's buckets")
        width = 8 if key[0] in _MEANS else 4
        if key[0] in _COUNTS:
            require(1 <= classes <= MOST_VALUES, "a table's classes")
            width = 4 * max(classes, 2)
        check_within(taken, 0, len(table.numbers(2, "u1")) // width, "a table's bucket")
        found[key] = classes
    return found


def _check_use(feature: Table, classes: dict[Key, int]) -> None:
    statistic = feature.table(0)
    if statistic is None:
        raise ValueError("a feature has no statistic")
    key = _key(statistic.table(0))
    require(key in classes, "the table of a feature")
    if key[0] in _COUNTS:
        check_within(np.array([statistic.number(1, "<i", 0)]), 0, classes[key], "the class of a feature")


def _key(base: Table | None) -> Key:
    """What tells one table from another, as CatBoost does."""
    combination = base.table(0) if base else None
    if base is None or combination is None:
        raise ValueError("a table names no features")
    kind = base.number(1, "<b", 0)
    require(kind in (*_COUNTS, *_MEANS, *_TOTALS), "the kind of a table")
    parts: Sequence[bytes] = [
        combination.numbers(field, dtype).tobytes() for field, dtype in ((0, "<i4"), (1, "<u8"), (2, "<u8"))
    ]
    return kind, parts[0], parts[1], parts[2]
