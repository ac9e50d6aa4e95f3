"""The categories that XGBoost keeps in its models, and columns as it takes them.

It codes anew what it is given, by the values of pandas' categories. So it takes no column without one, such
as that of a single row whose cell is missing, and no whole numbers that became floats beside a gap.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

_KEY = '"cats":'


def known_categories(booster: Any) -> list[pd.Index]:
    """Of each feature the categories that it was learnt from; empty where it is none, or none can be read.

    Args:
        booster: of XGBoost 3.1 or newer. Its ``get_categories`` needs pyarrow, which a server may lack.
    """
    return [_values(each) for each in _kept(booster)]


def complete_categories(booster: Any) -> dict[int, list[Any]]:
    """The categories of those features of which every value can be read, by the features' places."""
    read = {place: (each, _values(each).tolist()) for place, each in enumerate(_kept(booster))}
    # texts have one offset more than values
    return {
        place: values
        for place, (each, values) in read.items()
        if values and len(values) == len(each.get("offsets", [0, *each["values"]])) - 1
    }


def _kept(booster: Any) -> list[dict[str, Any]]:
    model = bytes(booster.save_raw("json")).decode("utf-8", "replace")
    place = model.find(_KEY)
    if place < 0:
        return []
    kept, _ = json.JSONDecoder().raw_decode(model, place + len(_KEY))
    found: list[dict[str, Any]] = kept["enc"]
    return found


def recoded(series: pd.Series, known: pd.Index) -> pd.Series:
    """A column as pandas' categories that XGBoost takes, shape (rows,), with a value of its own in each cell.

    Args:
        series: the cells; a missing one is None or NaN.
        known: what the model was learnt from; empty: not known.
    """
    given = series.astype("category")
    values = given.cat.categories
    if values.empty and not known.empty:
        return pd.Series(pd.Categorical.from_codes([-1] * len(series), known[:1]))
    if values.dtype.kind == "f" and known.dtype.kind == "i" and (values == values.astype(np.int64)).all():
        return given.cat.rename_categories(values.astype(np.int64))
    return given


def _values(kept: dict[str, Any]) -> pd.Index:
    offsets = kept.get("offsets")
    if offsets is None:
        return pd.Index(kept["values"])
    content = np.array(kept["values"], dtype=np.int8).tobytes()
    texts = [content[start:end] for start, end in pairwise(offsets)]
    # XGBoost 3.2 cuts text outside of ASCII short
    return pd.Index([text.decode() for text in texts if text.isascii()], dtype=object)
