"""A fitted scikit-learn model as the server runs it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.base import is_classifier, is_outlier_detector, is_regressor

from contract.version_folder import version_folder
from services.model_server.categories import of_model
from services.model_server.columns import Columns, Rows
from services.model_server.errors import SAVING_RELEASE, VersionError, one_line
from services.model_server.examples import read_examples
from services.model_server.runtime import Description, Runtime
from services.model_server.scikit_learn.estimators_in import estimators_in, inner_estimator, learner_of
from services.model_server.scikit_learn.plain_numpy import Direct, direct, is_linear
from services.model_server.scikit_learn.sample_rows import sample_rows
from services.model_server.tensors import Input, TensorSpec

if TYPE_CHECKING:
    from services.model_server.scikit_learn.direct.pipeline import DirectPipeline


def _detects(model: Any) -> bool:
    """Whether it is an anomaly detector; a class that is not scikit-learn's own may not say."""
    try:
        return bool(is_outlier_detector(model))
    except AttributeError:
        return False


def describe(model: Any, path: Path) -> Description:
    """What a model says of itself.

    Raises:
        VersionError: it is no classifier, regressor or anomaly detector.
    """
    if not hasattr(model, "fit"):
        # a booster of XGBoost or LightGBM, or what a script kept its model in, such as a dict
        remedy = (
            "save it as its library does, with save_model"
            if hasattr(model, "save_model")
            else "save the model itself, or write a model.py that uses it"
        )
        raise VersionError(f"{path}: holds a {type(model).__name__}, no model of scikit-learn; {remedy}")
    try:
        known = is_classifier(model) or is_regressor(model) or is_outlier_detector(model)
    except AttributeError:
        # a class of somebody's own without BaseEstimator
        known = False
    if not known:
        whole = f"rename {path.name} and write a model.py that loads it and calls its predict"
        remedy = whole
        if inner := inner_estimator(model):
            remedy = (
                f"it carries a fitted {type(inner[1]).__name__} as its {inner[0]}: save that, if it takes "
                f"the rows as they are, or {whole}"
            )
        raise VersionError(
            f"{path}: a {type(model).__name__} is no classifier, regressor or anomaly detector of "
            f"scikit-learn; {remedy}"
        )
    if getattr(model, "n_features_in_", None) == 0:
        # CatBoost's own classes forget it when they are pickled
        raise VersionError(
            f"{path}: the {type(model).__name__} does not say which features it takes; save it as its "
            "library does (CatBoost: save_model('model.cbm')), or write a model.py that uses it"
        )
    names = _feature_names(model)
    return Description(
        "regression" if is_regressor(model) else "classification",
        "FP64",
        getattr(model, "n_features_in_", None),
        names and [str(name) for name in names],
    )


def _feature_names(model: Any) -> list[Any] | None:
    # a pipeline that begins with "passthrough" does not say
    known = (getattr(one, "feature_names_in_", None) for one in (model, learner_of(model)))
    return next((list(names) for names in known if names is not None and len(names)), None)


class Estimator:
    """A fitted scikit-learn model as the server runs it: one thread, and no checks that were done already.

    Raises:
        VersionError: it is not a fitted model for ``task``.
    """

    platform = "sklearn"

    def __init__(self, model: Any, path: Path, task: str, given: Input) -> None:
        if not hasattr(model, "predict"):
            raise VersionError(f"{path}: a {type(model).__name__} has no predict; save a fitted model")
        self.model = model
        self._path = path
        self._direct: Direct | None = None
        self._columns_direct: DirectPipeline | None = None
        self.has_proba = task == "classification" and hasattr(model, "predict_proba")
        self._thread = threading.local()
        self.features: int | None = getattr(model, "n_features_in_", None)
        detects = _detects(model)
        self.named: tuple[str, ...] = ("decision_function",) if detects else ()
        self.classes: list[Any] | None = None
        self.value_classes: list[list[Any]] | None = None
        if task == "classification":
            classes = [-1, 1] if detects else getattr(model, "classes_", None)
            if isinstance(classes, list) and not detects:
                self.value_classes = [np.asarray(of_one).tolist() for of_one in classes]
            elif classes is None or np.ndim(classes) != 1:
                raise VersionError(
                    f"{path}: a {type(model).__name__} has no classes_; "
                    "save a fitted classifier, or set task in model.toml"
                )
            else:
                self.classes = np.asarray(classes).tolist()
        self.columns: list[str] | None = _feature_names(model)
        learner = learner_of(model)
        self._to_model: Callable[[Columns], Any] | None = None
        if isinstance(given, tuple):
            # imported late: pandas takes a second of a small CPU limit, and a matrix does without
            from services.model_server.scikit_learn.frames import for_input

            self._to_model = for_input(model, path, given)
        else:
            if hasattr(learner, "booster_") or hasattr(learner, "get_booster"):
                from services.model_server.scikit_learn.frames import refuse_matrix

                refuse_matrix(learner, path, self.columns or ())
            # rows come without names: load_version has compared the names with the columns of model.toml
            _forget_names(model)
        self.categories = of_model(learner)
        try:
            parameters = model.get_params() if hasattr(model, "get_params") else {}
        except AttributeError as error:
            raise VersionError(
                f"{path}: scikit-learn {sklearn.__version__} cannot use this {type(model).__name__} "
                f"({one_line(error)}); {SAVING_RELEASE}"
            ) from error
        jobs = {name: 1 for name in parameters if name.split("__")[-1] == "n_jobs"}
        if jobs:
            model.set_params(**jobs)

    def fastest(self, spec: Input, forbidden: str) -> tuple[Runtime, str, str]:
        """NumPy alone, ONNX Runtime, or scikit-learn; the faster two only where they give its own answers."""
        if self.named or self._several(spec):
            return self, "scikit-learn", "it gives more than one value per row"
        if isinstance(spec, tuple):
            return self, *self._direct_columns(spec, forbidden)
        if len(spec.shape) != 2:
            return self, "scikit-learn", ""
        from services.model_server.scikit_learn.compilation import TOLERANCE, CompiledEstimator, NotCompiled

        @cache
        def sample() -> NDArray[Any]:
            return sample_rows(self.model, spec)

        short = direct(self.model)
        if short and self._is_equal(short, sample()):
            self._direct = short
        runner = "numpy" if self._direct else "scikit-learn"
        if self._direct and is_linear(self.model):
            return self, runner, "a linear model gains nothing from ONNX"
        if forbidden:
            return self, runner, forbidden
        try:
            compiled = CompiledEstimator(self.model, self, sample)
        except NotCompiled as reason:
            return self, runner, str(reason)
        return compiled, "onnxruntime", f"labels equal scikit-learn's, numbers within {TOLERANCE:g}"

    def _several(self, spec: Input) -> bool:
        """Whether it gives several values per row; only its answers tell."""
        rows = read_examples(version_folder(self._path), spec, None)[:2]
        return bool(self.run(rows, frozenset(["predict"]))["predict"].size > len(rows))

    def _direct_columns(self, spec: tuple[TensorSpec, ...], forbidden: str) -> tuple[str, str]:
        # imported late: the shapes of a matrix do without
        from services.model_server.scikit_learn.direct.pipeline import TOLERANCE, direct_pipeline
        from services.model_server.scikit_learn.direct.step import NotDirect

        names = frozenset(["predict", "predict_proba"] if self.has_proba else ["predict"])
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                # of categories that are made up
                warnings.simplefilter("ignore")
                examples = read_examples(version_folder(self._path), spec, None)
                assert isinstance(examples, Columns)  # noqa: S101 - the input is columns
                made = direct_pipeline(self.model, examples, self.run, names, onnx=not forbidden)
        except NotDirect as reason:
            return "scikit-learn", str(reason)
        except Exception as error:
            # a step of another release may have other attributes; the library serves all the same
            return "scikit-learn", f"it has no direct way ({one_line(error)})"
        self._columns_direct = made
        return "direct", f"labels equal scikit-learn's, numbers within {TOLERANCE:g}"

    def _is_equal(self, short: Direct, rows: NDArray[Any]) -> bool:
        """Whether the short way gives the same answers, bit by bit, to rows alone and together."""
        outputs = frozenset(["predict", "predict_proba"] if self.has_proba else ["predict"])
        return all(
            _equal(short(part, outputs), self.run(part, outputs)) for part in (rows, *np.split(rows[:16], 16))
        )

    def run(self, rows: Rows, outputs: frozenset[str]) -> dict[str, Any]:
        """Run the model on a matrix of shape (rows, features), or on columns."""
        if self._columns_direct and isinstance(rows, Columns):
            with np.errstate(all="ignore"):
                return self._columns_direct.run_with(rows, outputs, self._by_library)
        if self._direct and isinstance(rows, np.ndarray):
            with np.errstate(all="ignore"):
                return self._direct(rows, outputs)
        return self._by_library(rows, outputs)

    def _by_library(self, rows: Rows, outputs: frozenset[str]) -> dict[str, Any]:
        if not hasattr(self._thread, "configured"):
            # scikit-learn's configuration is per thread; the protocol has checked a matrix, not columns
            wanted = {"assume_finite": self._to_model is None, "skip_parameter_validation": True}
            # before 1.3 parameters are not validated, and not configured
            known = sklearn.get_config()
            sklearn.set_config(**{name: value for name, value in wanted.items() if name in known})
            self._thread.configured = True
        given = self._to_model(rows) if self._to_model and isinstance(rows, Columns) else rows
        with np.errstate(all="ignore"):
            answers = {name: getattr(self.model, name)(given) for name in outputs}
        # of several values per row, probabilities are a list of an array each
        return {
            name: answer if isinstance(answer, list) else np.asarray(answer)
            for name, answer in answers.items()
        }


def _forget_names(model: Any) -> None:
    """Take the names of features out of a model and all its steps, each of which would warn of their lack."""
    for part in estimators_in(model):
        vars(part).pop("feature_names_in_", None)


def _equal(one: dict[str, NDArray[Any]], other: dict[str, NDArray[Any]]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name]) for name in one
    )
