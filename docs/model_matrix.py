"""docs/models.md, made by trying: ``make docs``.

Every classifier, regressor and transformer of scikit-learn is fitted in a pipeline over mixed columns, saved
by skops, made a version folder by ``describe``, and served; so is every objective of the boosting libraries.
A row of the page says what came of that.
"""

from __future__ import annotations

import inspect
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import skops.io
from sklearn.base import RegressorMixin
from sklearn.compose import make_column_transformer
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - scikit-learn lists it then
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder
from sklearn.utils import all_estimators

from services.model_server.columns import Columns, column
from services.model_server.describe import describe
from services.model_server.errors import VersionError, one_line
from services.model_server.version import load_version

PAGE = Path(__file__).parent / "models.md"

SERVED = "served"

ROWS = 60
_RNG = np.random.default_rng(1)
FRAME = pd.DataFrame(
    {
        "age": _RNG.normal(40, 9, ROWS),
        "visits": _RNG.integers(0, 9, ROWS),
        "city": pd.Series(_RNG.choice(["Rome", "Bonn", "Oslo"], ROWS), dtype=object),
    }
)
FRAME.loc[::7, "age"] = np.nan
FRAME.loc[3::11, "city"] = np.nan
LABELS = np.where((FRAME.visits > 4) ^ (FRAME.city == "Rome"), "yes", "no").astype(object)
VALUES = (FRAME.visits * 2.5 + FRAME.age.fillna(40) / 9).to_numpy() + 1

KINDS = {"classifier": "Classifiers", "regressor": "Regressors", "transformer": "Transformers"}

_INNER: dict[str, Callable[[], dict[str, Any]]] = {
    "StackingClassifier": lambda: {"estimators": [("one", LogisticRegression())], "cv": 2},
    "VotingClassifier": lambda: {"estimators": [("one", LogisticRegression())]},
    "StackingRegressor": lambda: {"estimators": [("one", Ridge())], "cv": 2},
    "VotingRegressor": lambda: {"estimators": [("one", Ridge())]},
    "FeatureUnion": lambda: {"transformer_list": [("one", MinMaxScaler())]},
    "ColumnTransformer": lambda: {"transformers": [("one", MinMaxScaler(), [0, 1])]},
    "SparseCoder": lambda: {"dictionary": np.eye(5)},
    "SelfTrainingClassifier": lambda: {"estimator": LogisticRegression()},
    # one target has one component
    **dict.fromkeys(("CCA", "PLSCanonical", "PLSSVD"), lambda: {"n_components": 1}),
    **dict.fromkeys(("GaussianRandomProjection", "SparseRandomProjection"), lambda: {"n_components": 2}),
    **dict.fromkeys(("SelectFdr", "SelectFpr", "SelectFwe"), lambda: {"alpha": 0.9}),
    "MissingIndicator": lambda: {"features": "all"},
    # the columns of a one-hot encoding depend on each other
    "QuadraticDiscriminantAnalysis": lambda: {"reg_param": 0.1},
}

_TWO_TARGETS = (
    "ClassifierChain", "RegressorChain", "MultiOutputClassifier", "MultiOutputRegressor"
)  # fmt: skip


@cache
def estimators(kind: str) -> dict[str, Any]:
    """The estimators of scikit-learn of a kind, by name."""
    return dict(all_estimators(type_filter=kind))


def result(kind: str, name: str) -> str:
    """What comes of one estimator: ``served``, or the reason why not."""
    estimator = estimators(kind)[name]
    try:
        model, expected = _fitted(kind, estimator)
    except Exception as error:
        # whatever scikit-learn raises is the reason
        return f"not fitted in such a pipeline: {one_line(error)[:110]}"
    by_skops = served(lambda folder: skops.io.dump(model, folder / "model.skops"), expected)
    if by_skops.startswith(SERVED):
        return by_skops
    by_joblib = served(lambda folder: joblib.dump(model, folder / "model.joblib"), expected)
    if not by_joblib.startswith(SERVED):
        # the numbers that a message ends with differ by machine
        return by_joblib.replace("model.joblib: ", "").partition(" instead: array=")[0]
    return f"{by_joblib} as `model.joblib` only; `model.skops`: {by_skops}"


def _fitted(kind: str, estimator: Any) -> tuple[Any, Any]:
    """The fitted pipeline and its answers."""
    numbers = kind == "regressor" or issubclass(estimator, RegressorMixin)
    truth = VALUES if numbers else LABELS
    if estimator.__name__ in _TWO_TARGETS or estimator.__name__.startswith("MultiTask"):
        # a chain takes numbers for labels
        truth = (
            np.column_stack([truth, truth[::-1]]) if numbers else np.column_stack([LABELS == "yes"] * 2) + 0
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = _pipeline(kind, _made(estimator), Ridge() if numbers else LogisticRegression())
        model.fit(FRAME, truth)
        return model, model.predict(FRAME)


def _made(estimator: Any) -> Any:
    given: dict[str, Any] = _INNER[estimator.__name__]() if estimator.__name__ in _INNER else {}
    wanted = inspect.signature(estimator).parameters
    for key in ("estimator", "base_estimator"):
        if key in wanted and wanted[key].default is inspect.Parameter.empty:
            given[key] = Ridge() if "Regressor" in estimator.__name__ else LogisticRegression()
    if "random_state" in wanted:
        given["random_state"] = 0
    if "param_grid" in wanted or "param_distributions" in wanted:
        given["param_grid" if "param_grid" in wanted else "param_distributions"] = {}
    return estimator(**given)


def _pipeline(kind: str, estimator: Any, last: Any) -> Any:
    numeric = make_pipeline(SimpleImputer(), MinMaxScaler())
    text = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(sparse_output=False))
    columns = make_column_transformer((numeric, ["age", "visits"]), (text, ["city"]))
    if kind == "transformer":
        return make_pipeline(columns, estimator, last)
    return make_pipeline(columns, estimator)


def served(save: Callable[[Path], Any], expected: Any, frame: pd.DataFrame = FRAME) -> str:
    """Make a version folder of a model, and compare its answers; ``served``, or the reason why not."""
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(place)
        try:
            save(folder)
        except Exception as error:
            # whatever the library that saves it raises
            return f"not saved: {one_line(error)}"
        rows = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
        try:
            answer = describe(folder, "m", "v1", list(frame), rows, ("m",))
            version = load_version(folder, ("m",))
        except VersionError as error:
            return f"refused: {str(error).replace(f'{folder}/', '')}"
        given = (
            Columns({spec.name: column(_cells(frame, spec.name), spec.datatype) for spec in version.input})
            if isinstance(version.input, tuple)
            else frame.to_numpy(np.float64)
        )
        found = version.run(given, frozenset(["predict"]))["predict"]
    right = np.asarray(expected).reshape(len(frame), -1)[:, 0]
    for answers in (np.asarray(answer["predictions"]), found):
        same = np.allclose(answers, right, rtol=1e-6) if right.dtype.kind == "f" else (answers == right).all()
        if not same:
            return "answers otherwise than its library"
    return SERVED


def _cells(frame: pd.DataFrame, name: str) -> list[Any]:
    cells: list[Any] = frame[name].astype(object).where(frame[name].notna(), None).tolist()
    return cells


SETTINGS: dict[str, dict[str, Any]] = {
    "XGBoost": {"n_estimators": 4, "n_jobs": 1},
    "LightGBM": {"n_estimators": 4, "n_jobs": 1, "min_child_samples": 5, "verbose": -1},
    "CatBoost": {"iterations": 4, "thread_count": 1, "verbose": False, "allow_writing_files": False},
}
OBJECTIVES = {
    ("XGBoost", "classifier"): ("binary:logistic", "binary:hinge", "multi:softprob", "multi:softmax"),
    ("XGBoost", "regressor"): (
        "reg:squarederror", "reg:squaredlogerror", "reg:absoluteerror", "reg:pseudohubererror", "reg:gamma",
        "reg:tweedie", "count:poisson", "reg:quantileerror", "survival:cox",
    ),
    ("LightGBM", "classifier"): ("binary", "multiclass", "multiclassova"),
    ("LightGBM", "regressor"): (
        "regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape", "gamma", "tweedie",
        "cross_entropy",
    ),
    ("CatBoost", "classifier"): ("Logloss", "CrossEntropy", "Focal:focal_alpha=0.5;focal_gamma=1",
                                 "MultiClass", "MultiClassOneVsAll"),
    ("CatBoost", "regressor"): (
        "RMSE", "MAE", "Quantile:alpha=0.9", "MultiQuantile:alpha=0.1,0.9", "RMSEWithUncertainty", "LogCosh",
        "Huber:delta=1", "Poisson", "Tweedie:variance_power=1.5", "MAPE", "Expectile:alpha=0.3",
        "Lq:q=3",
    ),
}  # fmt: skip


def boosted(library: str, kind: str, objective: str, *, categories: bool) -> str:
    """What comes of one objective of a boosting library, saved as its own file: as ``result``."""
    frame = FRAME.assign(city=FRAME.city.fillna("nowhere")) if categories else FRAME[["age", "visits"]]
    several = any(word in objective.lower() for word in ("multi:", "multiclass"))
    truth = np.digitize(FRAME.visits, [3, 6]) if several else (FRAME.visits > 4).to_numpy().astype(int)
    if kind == "regressor":
        truth = truth if objective == "cross_entropy" else VALUES
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, save, file, given = _booster(library, kind, objective, frame, categories=categories)
            model.fit(
                given, truth, **({"cat_features": ["city"]} if library == "CatBoost" and categories else {})
            )
            expected = model.predict(given)
    except Exception as error:
        # whatever the library raises is the reason
        return f"not fitted: {one_line(error)[:110]}"
    return served(lambda folder: save(model)(str(folder / file)), expected, frame)


def _booster(library: str, kind: str, objective: str, frame: Any, *, categories: bool) -> Any:
    """The library's model, how it is saved, in which file, and the frame that it is fitted on."""
    name = "Classifier" if kind == "classifier" else "Regressor"
    coded = frame.assign(city=frame.city.astype("category")) if categories else frame
    if library == "CatBoost":
        import catboost

        made = getattr(catboost, f"CatBoost{name}")(loss_function=objective, **SETTINGS[library])
        return made, lambda model: model.save_model, "model.cbm", frame
    if library == "LightGBM":
        import lightgbm

        made = getattr(lightgbm, f"LGBM{name}")(objective=objective, **SETTINGS[library])
        return made, lambda model: model.booster_.save_model, "model.txt", coded
    import xgboost

    more = {"quantile_alpha": np.array([0.1, 0.9])} if "quantile" in objective else {}
    made = getattr(xgboost, f"XGB{name}")(
        objective=objective, enable_categorical=categories, **more, **SETTINGS[library]
    )
    return made, lambda model: model.save_model, "model.ubj", coded


_HEAD = """\
# Which models are served

<!-- written by `make docs` from docs/model_matrix.py, which tries each of them -->

Every classifier, regressor and transformer of scikit-learn, in a pipeline over numbers, integers and text
with gaps (imputed, scaled, one-hot encoded), saved by skops, made ready by the code of `loadproof init`, and
served. *Served*: its answers to all rows are the pipeline's own, row by row; of several values per row the
first is compared. A transformer stands before a linear model. What scikit-learn itself does not fit in such a
pipeline has its reason there.
"""

_BOOSTING = """
## Boosting libraries

Saved as the library's own file, objective by objective: without categories, and with a text column as one.

| library | objective | numbers and gaps | with categories |
|---|---|---|---|
"""


def page() -> str:
    """docs/models.md."""
    return "".join(_page())


def row(kind: str, name: str) -> str:
    """A row of the page: one estimator."""
    return f"| {name} | {_cell(result(kind, name))} |\n"


def boosted_row(library: str, kind: str, objective: str) -> str:
    """A row of the page: one objective."""
    cells = (_cell(boosted(library, kind, objective, categories=categories)) for categories in (False, True))
    return f"| {library} {kind} | `{objective}` | {' | '.join(cells)} |\n"


def _page() -> Iterator[str]:
    yield _HEAD
    for kind, title in KINDS.items():
        yield f"\n## {title}\n\n| {kind} | what comes of it |\n|---|---|\n"
        for name in estimators(kind):
            yield row(kind, name)
    yield _BOOSTING
    for (library, kind), objectives in OBJECTIVES.items():
        for objective in objectives:
            yield boosted_row(library, kind, objective)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
