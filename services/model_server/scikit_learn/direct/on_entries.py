"""Steps that the library gives a sparse matrix: what stands behind a vectorizer or a one-hot encoder."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.preprocessing import Binarizer, MaxAbsScaler, Normalizer, StandardScaler

from services.model_server.scikit_learn.direct import selection
from services.model_server.scikit_learn.direct.step import Compile, Entries, NotDirect, Step, Unsure
from services.model_server.scikit_learn.direct.text import normed, tfidf


def _times(factors: Any, width: int) -> Step:
    """Each entry times a factor of its column."""
    numbers = [1.0] * width if factors is None else np.asarray(factors, np.float64).tolist()
    if len(numbers) != width:
        raise NotDirect("this step was fitted on other columns")

    def run(entries: Entries) -> Entries:
        places, values = entries
        return places, [value * numbers[place] for place, value in zip(places, values, strict=True)]

    return Step(run, width, sparse=True, entries=True)


def _standard(model: StandardScaler, width: int) -> Step:
    # with a mean the library refuses a sparse matrix
    if model.with_mean:
        raise NotDirect("this step centres a sparse matrix")
    return _times(1 / model.scale_ if model.with_std else None, width)


def _max_abs(model: MaxAbsScaler, width: int) -> Step:
    if getattr(model, "clip", False):
        raise NotDirect("this step clips")
    return _times(1.0 / model.scale_, width)


def _normalizer(model: Normalizer, width: int) -> Step:
    norm = normed(model.norm)
    return Step(lambda entries: (entries[0], norm(_finite(entries))), width, sparse=True, entries=True)


def _binarizer(model: Binarizer, width: int) -> Step:
    threshold = model.threshold
    if threshold < 0:
        raise NotDirect("this step would fill a sparse matrix")

    def run(entries: Entries) -> Entries:
        values = _finite(entries)
        places = [place for place, value in zip(entries[0], values, strict=True) if value > threshold]
        return places, [1.0] * len(places)

    return Step(run, width, sparse=True, entries=True)


def _selector(model: Any, width: int) -> Step:
    support = np.asarray(model.get_support())
    if len(support) != width:
        raise NotDirect("this step was fitted on other columns")
    kept = {int(old): new for new, old in enumerate(np.flatnonzero(support))}

    def run(entries: Entries) -> Entries:
        pairs = [
            (kept[place], value)
            for place, value in zip(entries[0], _finite(entries), strict=True)
            if place in kept
        ]
        return [place for place, _ in pairs], [value for _, value in pairs]

    return Step(run, len(kept), sparse=True, entries=True)


def _finite(entries: Entries) -> list[float]:
    values = entries[1]
    if not all(-np.inf < value < np.inf for value in values):
        raise Unsure
    return values


def _truncated(model: TruncatedSVD, width: int) -> Step:
    components = model.components_
    if components.shape[1] != width or components.dtype != np.float64:
        raise NotDirect("this step was fitted on other columns")
    weights = np.ascontiguousarray(components.T)

    def run(entries: Entries) -> list[float]:
        places, values = entries[0], _finite(entries)
        if not places:
            return [0.0] * weights.shape[1]
        # one product after the other, as the library multiplies a sparse matrix
        products = weights[places] * np.array(values)[:, None]
        return products.cumsum(axis=0)[-1].tolist()  # type: ignore[no-any-return]

    return Step(run, weights.shape[1])


KNOWN: dict[type, Compile] = {
    TfidfTransformer: tfidf,
    StandardScaler: _standard,
    MaxAbsScaler: _max_abs,
    Normalizer: _normalizer,
    Binarizer: _binarizer,
    TruncatedSVD: _truncated,
    **dict.fromkeys(selection.KNOWN, _selector),
}
