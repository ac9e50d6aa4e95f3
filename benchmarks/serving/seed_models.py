"""Honest models, small ones, one version folder each: what ``mutated_models`` changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import skops.io
import tomli_w
import xgboost
from skl2onnx import to_onnx
from sklearn.cluster import KMeans
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, RadiusNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, SplineTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC, NuSVR
from sklearn.tree import DecisionTreeClassifier

from services.model_server.describe import describe

FEATURES = 3


def save_seeds(folder: Path) -> dict[str, list[Path]]:
    """Write them below ``folder``: per kind the version folders."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(60, FEATURES))
    labels = np.arange(60) % 3
    estimators = [
        DecisionTreeClassifier(max_depth=3),
        RandomForestClassifier(3),
        ExtraTreesRegressor(3),
        GradientBoostingClassifier(n_estimators=3),
        HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2),
        AdaBoostClassifier(n_estimators=3),
        SVC(),
        NuSVR(),
        LinearSVC(),
        KNeighborsClassifier(3, algorithm="kd_tree"),
        KNeighborsClassifier(3, algorithm="ball_tree"),
        RadiusNeighborsClassifier(5.0, outlier_label=0),
        LogisticRegression(),
        SGDClassifier(),
        GaussianNB(),
        MLPClassifier((4,), max_iter=300, tol=1.0),
        GaussianProcessClassifier(),
        make_pipeline(StandardScaler(), SplineTransformer(), LogisticRegression()),
        make_pipeline(KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), LogisticRegression()),
        make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()),
        KMeans(3),
        IsolationForest(n_estimators=3),
    ]
    fitted = [estimator.fit(rows, labels) for estimator in estimators]
    found: dict[str, list[Path]] = {"skops": []}
    for number, model in enumerate(fitted):
        place = _folder(folder / f"skops-{number}", model)
        skops.io.dump(model, place / "model.skops")
        found["skops"].append(place)
    forest = _folder(folder / "onnx", fitted[1])
    (forest / "model.onnx").write_bytes(
        to_onnx(fitted[1], rows[:1].astype(np.float32), target_opset=18).SerializeToString()
    )
    xgb = xgboost.XGBClassifier(n_estimators=3, max_depth=3).fit(rows, labels)
    for kind, name in (("xgboost-json", "model.json"), ("xgboost-ubj", "model.ubj")):
        xgb.save_model(_folder(folder / kind, xgb) / name)
        found[kind] = [folder / kind]
    light = lightgbm.train(
        {"objective": "multiclass", "num_class": 3, "verbose": -1, "min_data_in_leaf": 2},
        lightgbm.Dataset(rows, labels), num_boost_round=3,
    )  # fmt: skip
    light.save_model(_folder(folder / "lightgbm", xgb) / "model.txt")
    found["catboost"] = _save_catboost(folder, rows, labels)
    return found | {kind: [folder / kind] for kind in ("onnx", "lightgbm")}


def _save_catboost(folder: Path, rows: Any, labels: Any) -> list[Path]:
    """Symmetric trees, others, and trees over tables of categories' statistics."""
    settings = {
        "iterations": 3,
        "depth": 3,
        "verbose": False,
        "allow_writing_files": False,
        "thread_count": 1,
    }
    plain = catboost.CatBoostClassifier(**settings).fit(rows, labels)
    deep = catboost.CatBoostClassifier(grow_policy="Depthwise", **settings).fit(rows, labels)
    names = ["a", "c", "d"]
    mixed = [[float(row[0]), f"c{number % 5}", f"d{number % 7}"] for number, row in enumerate(rows)]
    kinds = ["Borders", "Buckets", "BinarizedTargetMeanValue", "Counter"]
    tables = catboost.CatBoostClassifier(
        simple_ctr=kinds, combinations_ctr=kinds, one_hot_max_size=1, **settings
    ).fit(catboost.Pool(mixed, labels, cat_features=[1, 2], feature_names=names))
    places = [_folder(folder / f"catboost-{name}", plain) for name in ("plain", "deep")]
    places.append(folder / "catboost-tables")
    places[-1].mkdir()
    for model, place in zip((plain, deep, tables), places, strict=True):
        model.save_model(str(place / "model.cbm"))
    describe(places[-1], "m", "v1", names, mixed)
    return places


def _folder(folder: Path, model: Any) -> Path:
    folder.mkdir(parents=True)
    task = "classification" if hasattr(model, "classes_") else "regression"
    document = {
        "name": "m", "version": "v1", "task": task,
        "inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, FEATURES]}],
    }  # fmt: skip
    (folder / "model.toml").write_text(tomli_w.dumps(document), encoding="utf-8")
    return folder
