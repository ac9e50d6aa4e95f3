"""The categories that a booster learnt from, as far as its file says, and what others are to it.

LightGBM takes any other value as a missing one, without a word. XGBoost refuses the row, where it learnt from
a data frame; of codes in a matrix its file has no list. CatBoost keeps hashes alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.categories import Unknown

_CODES = re.compile(r"-?\d+(:-?\d+)*")
"""How LightGBM describes a categorical feature; a number has its range, in brackets."""


@dataclass(frozen=True)
class Categories:
    """The values of features that are categories, by the features' places, and what another value is."""

    known: Mapping[int, Sequence[Any]]
    unknown: Unknown

    def document(self) -> dict[str, Any]:
        """As JSON has it; see ``contract.categories``."""
        return {"known": list(self.known.items()), "unknown": self.unknown}


def of_model(model: Any) -> Categories | None:
    """Of a wrapper for scikit-learn; None where it is none, or learnt from no categories."""
    if hasattr(model, "booster_"):
        return of_lightgbm(model.booster_)
    return of_xgboost(model.get_booster()) if hasattr(model, "get_booster") else None


def of_lightgbm(booster: Any) -> Categories | None:
    """The values of pandas' categories, or else the codes that it did not leave out as too rare."""
    kept = booster.pandas_categorical or []
    if kept:
        # the wrapper and the file have other names for it
        said = booster.params.get("categorical_column") or booster.params.get("categorical_feature") or []
        known = dict(zip(sorted(said), kept, strict=True)) if len(said) == len(kept) else {}
    else:
        head = booster.model_to_string(num_iteration=1).partition("\nTree=0\n")[0]
        infos = next((line for line in head.split("\n") if line.startswith("feature_infos=")), "")
        codes = enumerate(infos.removeprefix("feature_infos=").split(" "))
        # a negative one stands for missing cells
        known = {
            place: [code for code in map(int, info.split(":")) if code >= 0]
            for place, info in codes
            if _CODES.fullmatch(info)
        }
    return Categories(known, "missing") if known else None


def of_xgboost(booster: Any) -> Categories | None:
    """The values of a data frame's categories, of XGBoost 3.1 or newer."""
    if "c" not in (booster.feature_types or ()):
        return None
    # imported late: pandas takes a second of a small CPU limit, and a matrix does without
    from services.model_server.scikit_learn.xgboost_categories import complete_categories

    known = complete_categories(booster)
    return Categories(known, "refused") if known else None
