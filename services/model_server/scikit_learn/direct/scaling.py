"""Numbers to numbers, one by one: scalers and Binarizer.

The same operations as the library's, in the same order, on Python's floats, which are the same 64 bits.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
from sklearn.preprocessing import (
    Binarizer,
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)  # fmt: skip

from services.model_server.scikit_learn.direct.step import Cells, Compile, NotDirect, Step, Unsure


def shifted(shift: Any, scale: Any, width: int) -> Step:
    """(cell - shift) / scale; None in place of either: 0, or 1.

    Raises:
        NotDirect: they are not as many as the cells.
    """
    shifts = [0.0] * width if shift is None else np.asarray(shift, np.float64).tolist()
    scales = [1.0] * width if scale is None else np.asarray(scale, np.float64).tolist()
    if not len(shifts) == len(scales) == width:
        raise NotDirect("this step was fitted on other columns")

    def run(row: Cells) -> list[Any]:
        # text would be repeated or refused; numbers of text are for the library
        return [(cell - s) / d for cell, s, d in zip(row, shifts, scales, strict=True)]

    return Step(run, width)


def _standard(model: StandardScaler, width: int) -> Step:
    return shifted(model.mean_ if model.with_mean else None, model.scale_ if model.with_std else None, width)


def _robust(model: RobustScaler, width: int) -> Step:
    return shifted(
        model.center_ if model.with_centering else None, model.scale_ if model.with_scaling else None, width
    )


def _max_abs(model: MaxAbsScaler, width: int) -> Step:
    if getattr(model, "clip", False):
        raise NotDirect("this step clips")
    return shifted(None, model.scale_, width)


def _min_max(model: MinMaxScaler, width: int) -> Step:
    scales, shifts = model.scale_.tolist(), model.min_.tolist()
    if len(scales) != width:
        raise NotDirect("this step was fitted on other columns")
    low, high = model.feature_range if model.clip else (-inf, inf)

    def run(row: Cells) -> list[Any]:
        cells = [cell * d + s for cell, s, d in zip(row, shifts, scales, strict=True)]
        # NaN stays NaN: it is on neither side
        return [low if cell < low else high if cell > high else cell for cell in cells]

    return Step(run, width)


def _binarizer(model: Binarizer, width: int) -> Step:
    threshold = model.threshold

    def run(row: Cells) -> list[Any]:
        if not all(-inf < cell < inf for cell in row):
            raise Unsure
        return [1.0 if cell > threshold else 0.0 for cell in row]

    return Step(run, width)


KNOWN: dict[type, Compile] = {
    StandardScaler: _standard,
    RobustScaler: _robust,
    MaxAbsScaler: _max_abs,
    MinMaxScaler: _min_max,
    Binarizer: _binarizer,
}
