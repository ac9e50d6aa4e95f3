"""Missing cells: SimpleImputer with every strategy and its indicator, MissingIndicator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.impute import MissingIndicator, SimpleImputer

from services.model_server.scikit_learn.direct.step import Cells, Compile, NotDirect, Step, Unsure


def _is_nan(value: Any) -> bool:
    return bool(value != value)


def _is_missing(value: Any) -> Callable[[Any], bool]:
    """What says of a cell whether it is missing; NaN beside another sign of it is for the library."""
    if _is_nan(value):
        return _is_nan

    def is_missing(cell: Any) -> bool:
        if _is_nan(cell):
            raise Unsure
        return bool(cell == value)

    return is_missing


def _imputer(model: SimpleImputer, width: int) -> Step:
    statistics = model.statistics_.tolist()
    if len(statistics) != width:
        raise NotDirect("this step was fitted on other columns")
    number = model._fit_dtype.kind in "fiu"
    if number and model._fit_dtype.itemsize < 8:
        raise NotDirect(f"this step was fitted on {model._fit_dtype}")
    missing = _is_missing(model.missing_values)
    kept = [
        place for place, value in enumerate(statistics) if model.keep_empty_features or not _is_nan(value)
    ]
    fills = [statistics[place] for place in kept]
    whole = len(kept) == width
    plain = missing is _is_nan
    indicator = _indicator(model.indicator_, width) if model.add_indicator else None

    def run(row: Cells) -> list[Any]:
        given = row if whole else [row[place] for place in kept]
        if plain:
            cells = [fill if cell != cell else cell for cell, fill in zip(given, fills, strict=True)]
        else:
            cells = [fill if missing(cell) else cell for cell, fill in zip(given, fills, strict=True)]
        if indicator:
            cells += indicator.run(row)
        return cells

    return Step(run, len(kept) + (indicator.width if indicator else 0))


def _indicator(model: MissingIndicator, width: int) -> Step:
    missing = _is_missing(model.missing_values)
    places = [int(place) for place in model.features_]
    if model._n_features != width:
        raise NotDirect("this step was fitted on other columns")
    # gaps in a column that had none are an error where the indicator stands alone
    strict = [p for p in range(width) if p not in places] if model.error_on_new else []

    def run(row: Cells) -> list[Any]:
        if strict and any(missing(row[place]) for place in strict):
            raise Unsure
        return [1.0 if missing(row[place]) else 0.0 for place in places]

    return Step(run, len(places), bool(model.sparse is True))


KNOWN: dict[type, Compile] = {SimpleImputer: _imputer, MissingIndicator: _indicator}
