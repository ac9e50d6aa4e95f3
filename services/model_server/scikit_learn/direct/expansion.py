"""Numbers to numbers that need a whole row or a table: Normalizer, KBinsDiscretizer, PolynomialFeatures,
PCA, TruncatedSVD, QuantileTransformer, PowerTransformer."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.preprocessing import (
    KBinsDiscretizer,
    Normalizer,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
)

from services.model_server.scikit_learn.direct.scaling import shifted
from services.model_server.scikit_learn.direct.step import Cells, Compile, NotDirect, Step, Unsure

MAX_WIDTH = 4096
"""Of more products the library takes less time than Python."""

_BOUND = 1e-7
"""How near its ends QuantileTransformer takes a number for one of them."""


def _matrix(row: Cells) -> NDArray[np.float64]:
    """One row, finite."""
    made = np.array([row], np.float64)
    if not np.isfinite(made).all():
        raise Unsure
    return made


def _normalizer(model: Normalizer, width: int) -> Step:
    norm = model.norm

    def run(row: Cells) -> list[Any]:
        cells = _matrix(row)
        if norm == "l2":
            size = np.sqrt(np.einsum("ij,ij->i", cells, cells))
        else:
            size = np.abs(cells).sum(axis=1) if norm == "l1" else np.abs(cells).max(axis=1)
        return (cells / size)[0].tolist() if size[0] else cells[0].tolist()  # type: ignore[no-any-return]

    return Step(run, width)


def _bins(model: KBinsDiscretizer, width: int) -> Step:
    if len(model.bin_edges_) != width or model.dtype not in (None, np.float64):
        raise NotDirect("this step was fitted on other columns, or gives single precision")
    edges = [column[1:-1].tolist() for column in model.bin_edges_]
    sizes = [int(number) for number in model.n_bins_]

    def codes(row: Cells) -> list[int]:
        if not all(-np.inf < cell < np.inf for cell in row):
            raise Unsure
        return [bisect_right(inner, cell) for inner, cell in zip(edges, row, strict=True)]

    if model.encode == "ordinal":
        return Step(lambda row: [float(code) for code in codes(row)], width)

    def run(row: Cells) -> list[Any]:
        cells: list[Any] = []
        for code, size in zip(codes(row), sizes, strict=True):
            cells += [0.0] * code + [1.0] + [0.0] * (size - 1 - code)
        return cells

    return Step(run, sum(sizes), model.encode == "onehot")


def _polynomial(model: PolynomialFeatures, width: int) -> Step:
    if model.n_features_in_ != width or model.n_output_features_ > MAX_WIDTH:
        raise NotDirect("this step gives too many columns")
    least, most = model._min_degree, model._max_degree
    # the terms of every degree, as each is a shorter one times its first number
    terms = list(model._combinations(width, 0, most, model.interaction_only, True))
    if len(terms) > MAX_WIDTH:
        raise NotDirect("this step gives too many columns")
    place = {term: number for number, term in enumerate(terms)}
    plan = [(place[term[1:]], term[0]) for term in terms if term]
    kept = [
        number for number, term in enumerate(terms) if (len(term) >= least if term else model.include_bias)
    ]

    def run(row: Cells) -> list[Any]:
        if not all(-np.inf < cell < np.inf for cell in row):
            raise Unsure
        made: list[Any] = [1.0]
        for rest, first in plan:
            made.append(made[rest] * row[first])
        return [made[number] for number in kept]

    return Step(run, len(kept))


def _projected(components: Any, width: int) -> NDArray[np.float64]:
    if components.shape[1] != width or components.dtype != np.float64:
        raise NotDirect("this step was fitted on other columns, or in single precision")
    return components.T  # type: ignore[no-any-return]


def _pca(model: PCA, width: int) -> Step:
    weights = _projected(model.components_, width)
    shift = np.reshape(model.mean_, (1, -1)) @ weights
    scale: Any = 1.0
    if model.whiten:
        scale = np.maximum(np.sqrt(model.explained_variance_), np.finfo(np.float64).eps)

    def run(row: Cells) -> list[Any]:
        return ((_matrix(row) @ weights - shift) / scale)[0].tolist()  # type: ignore[no-any-return]

    return Step(run, weights.shape[1])


def _truncated(model: TruncatedSVD, width: int) -> Step:
    weights = _projected(model.components_, width)
    return Step(lambda row: (_matrix(row) @ weights)[0].tolist(), weights.shape[1])


def _quantiles(model: QuantileTransformer, width: int) -> Step:
    if model.quantiles_.shape[1] != width:
        raise NotDirect("this step was fitted on other columns")
    columns = [np.ascontiguousarray(column) for column in model.quantiles_.T]
    mirrored = [-column[::-1] for column in columns]
    levels, opposite = model.references_, -model.references_[::-1]
    normal = model.output_distribution == "normal"
    near = _BOUND if normal else 0.0
    ends = [(float(column[0]), float(column[-1])) for column in columns]
    low = special.ndtri(_BOUND - np.spacing(1))
    high = special.ndtri(1 - (_BOUND - np.spacing(1)))

    def one(cell: float, number: int) -> float:
        if cell != cell:
            return cell
        if not -np.inf < cell < np.inf:
            raise Unsure
        # at both ends of a constant column the lower one wins
        if cell - near < ends[number][0] or (not near and cell == ends[number][0]):
            level = 0.0
        elif cell + near > ends[number][1] or (not near and cell == ends[number][1]):
            level = 1.0
        else:
            up = np.interp(cell, columns[number], levels)
            level = 0.5 * (up - np.interp(-cell, mirrored[number], opposite))
        return float(min(max(special.ndtri(level), low), high)) if normal else float(level)

    return Step(lambda row: [one(float(cell), number) for number, cell in enumerate(row)], width)


def _power(model: PowerTransformer, width: int) -> Step:
    powers = [float(power) for power in model.lambdas_]
    if len(powers) != width:
        raise NotDirect("this step was fitted on other columns")
    one: Callable[[float, float], float] = _yeo_johnson if model.method == "yeo-johnson" else _box_cox
    scaled = shifted(model._scaler.mean_, model._scaler.scale_, width).run if model.standardize else list

    def run(row: Cells) -> Any:
        if any(cell in (np.inf, -np.inf) for cell in row):
            raise Unsure
        return scaled([one(float(cell), power) for cell, power in zip(row, powers, strict=True)])

    return Step(run, width)


def _yeo_johnson(cell: float, power: float) -> float:
    if not cell < 0:
        return float(special.boxcox1p(cell, power))
    return float(-special.boxcox1p(-cell, 2 - power))


def _box_cox(cell: float, power: float) -> float:
    # of what is not positive the library says that it takes none
    if cell <= 0:
        raise Unsure
    return float(special.boxcox(cell, power))


KNOWN: dict[type, Compile] = {
    Normalizer: _normalizer,
    KBinsDiscretizer: _bins,
    PolynomialFeatures: _polynomial,
    PCA: _pca,
    TruncatedSVD: _truncated,
    QuantileTransformer: _quantiles,
    PowerTransformer: _power,
}
