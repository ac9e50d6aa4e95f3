"""The models that every server serves, and the rows that it is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import joblib
import numpy as np
import skops.io
from numpy.typing import NDArray
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from contract.model_toml import Input, ModelToml, write_model_toml

FEATURES = 20
ROWS = 192
MODELS = {
    "forest": "random forest, 100 trees, 142,000 nodes",
    "regression": "logistic regression",
}
"""What each model is, for people."""

_TOML = ModelToml("bench", "v1", "classification", Input("features", "FP64", (-1, FEATURES)))


def prepare(folder: Path) -> tuple[NDArray[np.float64], dict[str, list[int]]]:
    """Train the models and save them in every server's form below ``folder``.

    One more, ``boosting``, is for overload alone: scikit-learn's own code runs it, a few milliseconds a row.

    Returns:
        The rows, shape (192, 20), and by model the label that scikit-learn gives to each.
    """
    features, labels = make_classification(8000, FEATURES, n_informative=10, random_state=0)
    rows = features[:ROWS].round(6)
    known = folder / "answers.json"
    if known.exists():
        return rows, json.loads(known.read_text())
    answers = {}
    # idle threads of OpenMP spin on a busy machine
    with threadpool_limits(1):
        for name, model in {
            "forest": RandomForestClassifier(100, random_state=0),
            "regression": LogisticRegression(max_iter=1000),
            "boosting": HistGradientBoostingClassifier(max_iter=200, random_state=0),
        }.items():
            model.fit(features, labels)
            answers[name] = model.predict(rows).tolist()
            _save(folder / name, model)
    known.write_text(json.dumps(answers))
    return rows, answers


def _save(folder: Path, model: object) -> None:
    for part in ("loadproof", "mlserver"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    joblib.dump(model, folder / "model.joblib")
    skops.io.dump(model, folder / "loadproof" / "model.skops")
    write_model_toml(folder / "loadproof", _TOML)
    settings = {
        "name": "bench",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(folder / "model.joblib"), "version": "v1"},
        "max_batch_size": 64,
        "max_batch_time": 0.005,
    }
    (folder / "mlserver" / "model-settings.json").write_text(json.dumps(settings))
