"""Texts to entries: CountVectorizer, TfidfVectorizer, TfidfTransformer, HashingVectorizer.

Words are what the vectorizer's own analyzer gives, so none of its options is read again. What is left out is
the sparse matrix of one row, which costs a hundred times as much.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.utils import murmurhash3_32

from services.model_server.scikit_learn.direct.step import Cells, Compile, Entries, NotDirect, Step, Unsure

_LOGARITHMS = np.log(np.arange(1.0, 257.0)).tolist()
"""Of a word's count, as NumPy takes them of an array."""

Change = Callable[[Entries], Entries]


def _words(model: Any) -> Callable[[Cells], Any]:
    """A cell to its words.

    Raises:
        NotDirect: it reads files, or counts in single precision.
    """
    if model.input != "content":
        raise NotDirect("this step reads files")
    if np.dtype(model.dtype) not in (np.dtype(np.int64), np.dtype(np.float64)):
        raise NotDirect(f"this step gives {np.dtype(model.dtype)}")
    analyze = model.build_analyzer()

    def words(row: Cells) -> Any:
        (cell,) = row
        # of a gap the library says that it is no document
        if type(cell) is not str:
            raise Unsure
        return analyze(cell)

    return words


def _count(model: Any, width: int) -> Step:  # noqa: ARG001 - it is given one text
    words, binary = _words(model), model.binary
    place_of = getattr(model, "vocabulary_", None)
    if place_of is None:
        raise NotDirect("this step is not fitted")
    place_of = {word: int(place) for word, place in place_of.items()}

    def run(row: Cells) -> Entries:
        counts: dict[int, float] = {}
        for word in words(row):
            place = place_of.get(word)
            if place is not None:
                counts[place] = counts.get(place, 0.0) + 1.0
        places = sorted(counts)
        return places, [1.0] * len(places) if binary else [counts[place] for place in places]

    return Step(run, len(place_of), sparse=True, entries=True)


def _tfidf_vectorizer(model: TfidfVectorizer, width: int) -> Step:
    counts = _count(model, width)
    count, change = counts.run, tfidf(model._tfidf, counts.width).run
    return counts._replace(run=lambda row: change(count(row)))


def tfidf(model: TfidfTransformer, width: int) -> Step:
    """A transformer of counts, on entries."""
    idf = getattr(model, "idf_", None) if model.use_idf else None
    if model.use_idf and (idf is None or len(idf) != width):
        raise NotDirect("this step was fitted on other columns")
    if idf is not None and idf.dtype != np.float64:
        raise NotDirect(f"this step was fitted on {idf.dtype}")
    weights = None if idf is None else idf.tolist()
    sublinear, norm = model.sublinear_tf, normed(model.norm)

    def run(entries: Entries) -> Entries:
        places, values = entries
        if sublinear:
            values = [_logarithm(value) + 1.0 for value in values]
        if weights is not None:
            values = [value * weights[place] for place, value in zip(places, values, strict=True)]
        return places, norm(values)

    return Step(run, width, sparse=True, entries=True)


def _logarithm(value: float) -> float:
    if value == int(value) and 1 <= value <= len(_LOGARITHMS):
        return float(_LOGARITHMS[int(value) - 1])
    return float(np.log(value))


def normed(norm: str | None) -> Callable[[list[float]], list[float]]:
    """Values to values of norm 1; those of a row without any stay."""

    def run(values: list[float]) -> list[float]:
        size = 0.0
        if norm == "l2":
            for value in values:
                size += value * value
            size = sqrt(size)
        elif norm == "l1":
            for value in values:
                size += abs(value)
        else:
            size = max(map(abs, values), default=0.0)
        return [value / size for value in values] if size else values

    if norm is None:
        return lambda values: values
    if norm not in ("l1", "l2", "max"):
        raise NotDirect(f"this step has the norm {norm!r}")
    return run


def _hashing(model: HashingVectorizer, width: int) -> Step:  # noqa: ARG001 - it is given one text
    words, binary, norm = _words(model), model.binary, normed(model.norm)
    size, alternate = int(model.n_features), model.alternate_sign

    def run(row: Cells) -> Entries:
        sums: dict[int, float] = {}
        for word in words(row):
            number = murmurhash3_32(word.encode(), 0)
            # the library's own way around the integer that has no opposite
            place = (2**31 - 1 - (size - 1)) % size if number == -(2**31) else abs(number) % size
            sums[place] = sums.get(place, 0.0) + (-1.0 if alternate and number < 0 else 1.0)
        places = sorted(sums)
        return places, norm([1.0] * len(places) if binary else [sums[place] for place in places])

    return Step(run, size, sparse=True, entries=True)


KNOWN: dict[type, Compile] = {
    CountVectorizer: _count,
    TfidfVectorizer: _tfidf_vectorizer,
    HashingVectorizer: _hashing,
}
