"""A scikit-learn model turned into ONNX when it is loaded, where its answers stay what they are.

What is compiled, and why its answers cannot change unnoticed:

- A forest, a tree, or gradient boosting on its own. scikit-learn rounds the inputs of these to single
  precision before it compares them with a threshold; rounded the same way, and with thresholds rounded down,
  every comparison in ONNX has the same outcome. Only the sums over the leaves differ, by rounding.
- Networks and linear models, alone, bagged, or behind scalers, in double precision.

Rows whose two most likely classes are closer than ``MARGIN`` go through the original, so that no rounding can
turn a label. Before it is used, the compiled model must give the original's labels, and its numbers within
``TOLERANCE``, on ``sampling``'s rows. Everything else is served by the original: boosting over histograms,
whose thresholds are compared in double precision, and trees behind a transformer, for instance.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import ensemble, tree
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler

from services.model_server.columns import Rows
from services.model_server.runtime import Runtime
from services.model_server.scikit_learn.tree_check import trees_in

TOLERANCE = 1e-6
"""How far a probability (absolute) or a regression's value (relative, and absolute below 1) may be off."""

MARGIN = 1e-5
"""Rows whose best two classes are closer than this are answered by the original."""

MAX_NODES = 300_000
"""Larger ensembles would take more time and memory to convert than a small container has at its start."""

_TREES = (
    ensemble.RandomForestClassifier, ensemble.RandomForestRegressor,
    ensemble.ExtraTreesClassifier, ensemble.ExtraTreesRegressor,
    ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor,
    tree.DecisionTreeClassifier, tree.DecisionTreeRegressor,
)  # fmt: skip
_SMOOTH = (MLPClassifier, MLPRegressor, LogisticRegression, LinearRegression, Ridge)
_SCALERS = (StandardScaler, MinMaxScaler, MaxAbsScaler)
_BAGS = (ensemble.BaggingClassifier, ensemble.BaggingRegressor)


class NotCompiled(Exception):  # noqa: N818 - it names what happened
    """The original serves; ``str(error)`` is the reason, one line."""


class CompiledEstimator:
    """A fitted scikit-learn model, run by ONNX Runtime with one thread.

    Args:
        original: what it was made from; answers the rows that are close between two classes.
        sample: the rows on which both must agree, shape (rows, features).

    Raises:
        NotCompiled: it cannot be converted, or does not agree.
    """

    platform = "sklearn"

    def __init__(self, model: Any, original: Runtime, sample: Callable[[], NDArray[Any]]) -> None:
        _check_kind(model, original)
        rows = sample()
        self._original = original
        self._single = type(model) in _TREES
        self._session, self._name, self._output = _convert(model, rows.shape[1], self._single, original)
        self._classes = model.classes_ if original.classes else None
        self.features, self.columns = original.features, original.columns
        self.classes, self.has_proba = original.classes, original.has_proba
        self._check(rows)

    def run(self, rows: Rows, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        """Run the model on rows of shape (rows, features)."""
        assert isinstance(rows, np.ndarray)  # noqa: S101 - what takes columns is not compiled
        values = self._values(rows)
        if self._classes is None:
            return {"predict": values}
        if values.shape[1] == 1:
            second = values[:, 0]
            first, close = second > 0.5, np.abs(2 * second - 1) < MARGIN
            if "predict_proba" in outputs:
                values = np.column_stack((1 - second, second)).clip(0, 1)
        else:
            first, close = values.argmax(axis=1), _margins(values) < MARGIN
        results = {"predict": self._classes.take(first), "predict_proba": values}
        if close.any():
            answers = self._original.run(rows[close], outputs)
            for name in outputs:
                results[name][close] = answers[name]
        return {name: results[name] for name in outputs}

    def _values(self, rows: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(over="ignore"):
            given = rows.astype(np.float32 if self._single else np.float64, copy=False)
        values: NDArray[Any] = self._session.run([self._output], {self._name: given})[0]
        return values.astype(np.float64) if self._classes is not None else values.ravel()

    def _check(self, rows: NDArray[Any]) -> None:
        names = frozenset(["predict", "predict_proba"] if self._classes is not None else ["predict"])
        # alone too: a runtime may go another way for one row
        for part in (rows, *np.split(rows[:16], 16)):
            wanted, got = self._original.run(part, names), self.run(part, names)
            if self._classes is not None and (wanted["predict"] != got["predict"]).any():
                raise NotCompiled("its ONNX form gives other labels on a sample of rows")
            numbers = "predict_proba" if self._classes is not None else "predict"
            allowed = TOLERANCE * np.maximum(1, np.abs(wanted[numbers]))
            off = np.abs(wanted[numbers] - got[numbers])
            if not (off <= allowed).all():
                raise NotCompiled(f"its ONNX form is off by {np.nanmax(off):.1g} on a sample of rows")


def _margins(values: NDArray[Any]) -> NDArray[Any]:
    """By how much the most likely class of each row leads the next one."""
    best = values if values.shape[1] == 2 else np.partition(values, -2, axis=1)[:, -2:]
    margins: NDArray[Any] = np.abs(best[:, 1] - best[:, 0])
    return margins


def _check_kind(model: Any, original: Runtime) -> None:
    if original.classes is not None and not (original.has_proba and len(original.classes) > 1):
        raise NotCompiled("it has no probabilities, by which close calls would be known")
    if type(model) in _TREES:
        nodes = sum(one.node_count for one in trees_in(model))
        if nodes > MAX_NODES:
            raise NotCompiled(f"its {nodes:,} nodes are more than the {MAX_NODES:,} that are converted")
        first = getattr(model, "init_", "zero")
        if first not in (None, "zero") and not isinstance(first, DummyClassifier | DummyRegressor):
            raise NotCompiled("its boosting starts from a model of its own")
    elif not _is_smooth(model):
        raise NotCompiled(f"a {_names(model)} is not among the kinds that are compiled")


def _is_smooth(model: Any) -> bool:
    """Whether small errors inside it stay small, and its label is the likeliest class."""
    if type(model) is Pipeline:
        *before, (_, last) = model.steps
        return all(type(step) in _SCALERS for _, step in before) and _is_smooth(last)
    if type(model) in _BAGS:
        return all(map(_is_smooth, model.estimators_))
    return type(model) in _SMOOTH


def _names(model: Any) -> str:
    if type(model) is Pipeline:
        return "pipeline of " + ", ".join(type(step).__name__ for _, step in model.steps)
    return type(model).__name__


def _convert(model: Any, features: int, single: bool, original: Runtime) -> tuple[Any, str, str]:
    """A session, the name of its input, and that of its output: probabilities, or a regression's values."""
    # imported late: they take time, and most versions do without
    import onnxruntime
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    kind = FloatTensorType if single else DoubleTensorType
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = to_onnx(
                model,
                initial_types=[("rows", kind([None, features]))],
                options={"zipmap": False} if original.classes else None,
            )
            _sum_one_class(graph)
        session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        # a converter can raise anything; the original serves all the same
        line = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise NotCompiled(f"it cannot be converted to ONNX ({line})") from error
    return session, "rows", session.get_outputs()[-1].name


def _sum_one_class(graph: Any) -> None:
    """Turn a forest of two classes into one that sums the second class's probability, and nothing else.

    The converter has already left one weight a leaf; a classifier would go on to make labels and the other
    probability of it, which take a fifth of the time of one row.
    """
    from onnx import helper

    nodes = graph.graph.node
    if len(nodes) != 1 or nodes[0].op_type != "TreeEnsembleClassifier":
        return
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in nodes[0].attribute}
    if given["post_transform"] != b"NONE" or any(given["class_ids"]) or not given["class_ids"]:
        return
    kept = {name: values for name, values in given.items() if name.startswith("nodes_")}
    named = {name.replace("class_", "target_"): v for name, v in given.items() if name.startswith("class_")}
    result = graph.graph.output[-1]
    node = helper.make_node(
        "TreeEnsembleRegressor", list(nodes[0].input), [result.name], domain="ai.onnx.ml", n_targets=1,
        aggregate_function="SUM", post_transform="NONE", **kept, **named,
    )  # fmt: skip
    del nodes[:], graph.graph.output[:-1]
    nodes.append(node)
    result.type.tensor_type.shape.dim[1].dim_value = 1
