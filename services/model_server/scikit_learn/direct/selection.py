"""Steps that leave columns out: SelectKBest and every other selector of scikit-learn's own."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
from sklearn import feature_selection

from services.model_server.scikit_learn.direct.step import Cells, Compile, NotDirect, Step, Unsure


def _selector(model: Any, width: int) -> Step:
    support = np.asarray(model.get_support())
    if len(support) != width:
        raise NotDirect("this step was fitted on other columns")
    places = np.flatnonzero(support).tolist()

    def run(row: Cells) -> list[Any]:
        # what is left out must be a number, too: the library looks at it
        if not all(-inf < cell < inf for cell in row):
            raise Unsure
        return [row[place] for place in places]

    return Step(run, len(places))


KNOWN: dict[type, Compile] = dict.fromkeys(
    (
        feature_selection.SelectKBest, feature_selection.SelectPercentile, feature_selection.SelectFpr,
        feature_selection.SelectFdr, feature_selection.SelectFwe, feature_selection.VarianceThreshold,
        feature_selection.SelectFromModel, feature_selection.RFE, feature_selection.RFECV,
    ),
    _selector,
)  # fmt: skip
