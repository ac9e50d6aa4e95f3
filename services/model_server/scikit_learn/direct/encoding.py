"""Categories: OneHotEncoder, OrdinalEncoder and TargetEncoder as dictionaries.

The dictionaries are filled with what the encoder itself gives for each of its categories, for a missing cell
and for one that it does not know: no option (``drop``, ``min_frequency``, ``handle_unknown``) is read again.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from services.model_server.scikit_learn.direct.step import Cells, Compile, NotDirect, Step, Unsure

MAX_CELLS = 4_000_000
"""Larger tables would take more memory than a small container has: categories times outputs."""

_EXACT = 2**53

Values = tuple[float, ...]


def _encoder(model: Any, width: int) -> Step:
    categories = model.categories_
    if len(categories) != width:
        raise NotDirect("this step was fitted on other columns")
    if np.dtype(getattr(model, "dtype", np.float64)) != np.float64:
        raise NotDirect(f"this step gives {np.dtype(model.dtype)}")
    for known in categories:
        if known.dtype.kind not in "Oifub" or not len(known):
            raise NotDirect(f"this step has categories of type {known.dtype}")
    widths = _widths(model, categories)
    if sum(len(known) * size for known, size in zip(categories, widths, strict=True)) > MAX_CELLS:
        raise NotDirect("this step has too many categories")
    first = [known[0] for known in categories]
    ends = np.cumsum(widths).tolist()
    tables: list[dict[Any, Values]] = []
    others: list[tuple[Values | None, Values | None, Values | None]] = []
    takes_none = any(None in known.tolist() for known in categories if known.dtype == object)
    whole = _known(model, categories, first)
    for place, (known, size, end) in enumerate(zip(categories, widths, ends, strict=True)):
        part = slice(end - size, end)
        tables.append(
            {
                value: tuple(row)
                for value, row in zip(known.tolist(), whole[: len(known), part].tolist(), strict=True)
                if value == value
            }
        )
        others.append(
            (
                _tried(model, first, place, np.nan, part),
                _tried(model, first, place, _unknown(known), part),
                _tried(model, first, place, None, part) if takes_none and known.dtype == object else None,
            )
        )

    def run(row: Cells) -> list[Any]:
        cells: list[Any] = []
        for cell, table, other in zip(row, tables, others, strict=True):
            values = table.get(cell)
            if values is None:
                values = other[0] if cell != cell else other[2] if cell is None else other[1]
                # rounded to a float, a large integer may be a category after all
                if values is None or (
                    type(cell) in (int, float) and not -_EXACT < cell < _EXACT and cell == cell
                ):
                    raise Unsure
            cells += values
        return cells

    return Step(run, sum(widths), bool(getattr(model, "sparse_output", False)))


def _widths(model: Any, categories: list[NDArray[Any]]) -> list[int]:
    if isinstance(model, OneHotEncoder):
        return [int(size) for size in model._n_features_outs]
    each = 1
    if isinstance(model, TargetEncoder) and model.target_type_ == "multiclass":
        each = len(model.classes_)
    return [each] * len(categories)


def _transform(model: Any, columns: list[list[Any]], like: list[NDArray[Any]]) -> NDArray[np.float64]:
    frame = pd.DataFrame(
        {
            place: pd.Series(cells, dtype=object if known.dtype == object else None)
            for place, (cells, known) in enumerate(zip(columns, like, strict=True))
        }
    )
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        frame.columns = pd.Index(names, dtype=object)
    with warnings.catch_warnings():
        # of unknown categories, which is what it is asked for
        warnings.simplefilter("ignore")
        result = model.transform(frame)
    dense: Any = result
    return np.asarray(dense.toarray() if issparse(result) else dense, np.float64)


def _known(model: Any, categories: list[NDArray[Any]], first: list[Any]) -> NDArray[np.float64]:
    """What it gives for the n-th category of every column at once, shape (most categories, outputs)."""
    rows = max(map(len, categories))
    columns = [
        [*known.tolist(), *[start] * (rows - len(known))]
        for known, start in zip(categories, first, strict=True)
    ]
    return _transform(model, columns, categories)


def _tried(model: Any, first: list[Any], place: int, value: Any, part: slice) -> Values | None:
    """What it gives for one cell; None: it refuses it."""
    columns = [[value if at == place else start] for at, start in enumerate(first)]
    try:
        return tuple(_transform(model, columns, model.categories_)[0, part].tolist())
    except (ValueError, TypeError):
        return None


def _unknown(known: NDArray[Any]) -> Any:
    """A cell of the column's kind that is no category."""
    values = set(known.tolist())
    text = any(isinstance(value, str) for value in values)
    made = (("?" * n if text else 3 + 7 * n) for n in range(1, len(values) + 2))
    return next(value for value in made if value not in values)


KNOWN: dict[type, Compile] = {OneHotEncoder: _encoder, OrdinalEncoder: _encoder, TargetEncoder: _encoder}
