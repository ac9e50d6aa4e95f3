"""Boosting libraries as last steps: ONNX Runtime takes their trees only where it may."""

import inspect

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from xgboost import XGBClassifier

from services.model_server.scikit_learn.direct import boosters


@pytest.mark.parametrize("kind", [XGBClassifier, LGBMClassifier])
@pytest.mark.parametrize("onnx", [True, False])
def test_without_compilation_the_booster_itself_answers(kind, onnx):
    rows = np.random.default_rng(0).normal(size=(80, 3))
    model = kind(n_estimators=3, n_jobs=1).fit(rows, rows[:, 0] > 0)
    run = boosters.KNOWN[boosters.name_of(model)](model, sparse=False, onnx=onnx)
    assert (inspect.getclosurevars(run).nonlocals["own"] is not None) is onnx
    # as last step it is given plain rows, whatever names LightGBM gave the columns
    assert run(rows, frozenset(["predict"]))["predict"].tolist() == (rows[:, 0] > 0).tolist()
