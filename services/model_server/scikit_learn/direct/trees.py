"""Forests, gradient boosting, and boosting over histograms as one ensemble of ONNX Runtime.

Thresholds and leaves stay in double precision and missing values go the way they were taught, so every leaf
is the library's, and the sums are of the same numbers in the same order. Boosting over histograms asks for
sets of categories; each set becomes a feature of its own, which is looked up.

Two classes of a forest are summed as one, whose complement is the other: rows that a rounding could decide
are summed tree by tree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import ensemble, tree
from sklearn.dummy import DummyClassifier, DummyRegressor

from services.model_server.scikit_learn.direct.step import NotDirect, Unsure, ahead
from services.model_server.scikit_learn.direct.tree_ensemble import Matrix, Nodes, session
from services.model_server.tensors import every

CLOSE = 1e-9
"""Forests of which two classes are closer are summed tree by tree."""

Head = Callable[[Matrix, frozenset[str]], dict[str, NDArray[Any]]]
"""(rows of shape (rows, features), names of outputs) to an array per output; raises ``Unsure``."""

FORESTS = (
    ensemble.RandomForestClassifier, ensemble.ExtraTreesClassifier,
    ensemble.RandomForestRegressor, ensemble.ExtraTreesRegressor,
    tree.DecisionTreeClassifier, tree.DecisionTreeRegressor,
)  # fmt: skip
BOOSTING = (ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor)
HISTOGRAMS = (ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor)


def _of_tree(one: Any, values: NDArray[Any], target: int = 0) -> Nodes:
    return Nodes(
        one.children_left, one.children_right, one.children_left == -1, one.feature, one.threshold,
        np.asarray(one.missing_go_to_left, bool), values, target,
    )  # fmt: skip


def _narrow(rows: Matrix, *, gaps: bool) -> Matrix:
    """Rounded as the library rounds what its trees are given; what it refuses is left to it."""
    narrow = rows.astype(np.float32).astype(np.float64)
    if not every(~np.isinf(narrow) if gaps else np.isfinite(narrow)):
        raise Unsure
    return narrow


def forest(model: Any) -> Head:
    """A forest, or a tree alone.

    Raises:
        NotDirect: it has several outputs, or too many nodes.
    """
    alone = isinstance(model, tree.DecisionTreeClassifier | tree.DecisionTreeRegressor)
    trees = [model.tree_] if alone else [one.tree_ for one in model.estimators_]
    if model.n_outputs_ != 1:
        raise NotDirect("it has several outputs")
    classes = getattr(model, "classes_", None)
    width = 1 if classes is None else len(classes)
    # of two classes the second
    kept = [width - 1] if width < 3 else list(range(width))
    nodes = [
        _of_tree(one, one.value[:, 0, value], target) for one in trees for target, value in enumerate(kept)
    ]
    sums = session(nodes, model.n_features_in_, len(kept))
    first = model if alone else model.estimators_[0]
    gaps = bool(first._support_missing_values(np.zeros((1, 1))))

    def one_by_one(rows: Matrix) -> Matrix:
        narrow = np.ascontiguousarray(rows, np.float32)
        values = np.zeros((len(rows), width))
        for one in trees:
            values += one.predict(narrow).reshape(len(rows), width)
        values /= len(trees)
        return values

    def run(rows: Matrix, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:  # noqa: ARG001
        narrow = _narrow(rows, gaps=gaps)
        values = sums(narrow) / len(trees)
        if classes is None:
            return {"predict": values[:, 0]}
        if width == 2:
            values = np.concatenate((1 - values, values), axis=1)
            close = np.abs(values[:, 1] - values[:, 0]) < CLOSE
        elif width > 2:
            best = np.partition(values, -2, axis=1)
            close = best[:, -1] - best[:, -2] < CLOSE
        else:
            close = np.zeros(len(rows), bool)
        if close.any():
            values[close] = one_by_one(narrow[close])
        return {"predict": classes.take(values.argmax(axis=1)), "predict_proba": values}

    return run


def boosting(model: Any) -> Head:
    """Gradient boosting, from a constant.

    Raises:
        NotDirect: it starts from a model of its own, or has too many nodes.
    """
    if not (isinstance(model.init_, DummyClassifier | DummyRegressor) or model.init_ == "zero"):
        raise NotDirect("its boosting starts from a model of its own")
    features = model.n_features_in_
    start = model._raw_predict_init(np.zeros((1, features), np.float32))[0]
    nodes = []
    for number, stage in enumerate(model.estimators_):
        for target, one in enumerate(stage):
            values = model.learning_rate * one.tree_.value[:, 0, 0]
            nodes.append(_of_tree(one.tree_, start[target] + values if number == 0 else values, target))
    raw = session(nodes, features, model.estimators_.shape[1])
    return _boosted(model, lambda rows: raw(_narrow(rows, gaps=False)))


def _boosted(model: Any, raw: Callable[[Matrix], Matrix]) -> Head:
    """Scores to labels and probabilities; scores near 0 are for the library, which has two rules for 0."""
    classes, loss = getattr(model, "classes_", None), model._loss

    def run(rows: Matrix, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        scores = raw(rows)
        if classes is None:
            return {"predict": loss.link.inverse(scores.ravel())}
        results = {}
        if "decision_function" in outputs:
            results["decision_function"] = scores.ravel() if scores.shape[1] == 1 else scores
        if "predict" in outputs:
            if scores.shape[1] == 1:
                first = scores.ravel()
                if not every(np.abs(first) > CLOSE):
                    raise Unsure
                results["predict"] = classes.take(first > 0)
            else:
                if not ahead(scores, CLOSE):
                    raise Unsure
                results["predict"] = classes.take(scores.argmax(axis=1))
        if "predict_proba" in outputs:
            results["predict_proba"] = loss.predict_proba(scores if scores.shape[1] > 1 else scores.ravel())
        return results

    return run


def histograms(model: Any) -> Head:
    """Boosting over histograms, on the rows that its own encoder has gone over.

    Raises:
        NotDirect: it has too many nodes or categories.
    """
    features = len(model._bin_mapper.bin_thresholds_)
    sets = _Sets(model, features)
    nodes = []
    for number, stage in enumerate(model._predictors):
        for target, one in enumerate(stage):
            given = one.nodes
            values = given["value"].astype(np.float64)
            start = float(model._baseline_prediction.ravel()[target]) if number == 0 else 0.0
            feature, threshold = sets.places(one)
            nodes.append(
                Nodes(
                    given["left"].astype(np.int64),
                    given["right"].astype(np.int64),
                    given["is_leaf"] != 0,
                    feature,
                    threshold,
                    given["missing_go_to_left"] != 0,
                    start + values if number == 0 else values,
                    target,
                )
            )
    sets.fill()
    raw = session(nodes, features + sets.width, model.n_trees_per_iteration_)
    return _boosted(model, (lambda rows: raw(sets.widen(rows))) if sets.width else raw)


class _Sets:
    """The sets of categories that a model's nodes ask for, as features after its own."""

    def __init__(self, model: Any, features: int) -> None:
        self._features = features
        self._found: dict[tuple[int, bytes, bool], int] = {}
        self._tables: list[tuple[int, NDArray[np.float64]]] = []
        bits, places = model._bin_mapper.make_known_categories_bitsets()
        self._known = {feature: bits[place] for feature, place in enumerate(places) if len(bits)}

    @property
    def width(self) -> int:
        """How many there are."""
        return len(self._found)

    def places(self, predictor: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """Feature and threshold of every node, sets in place of categories."""
        nodes = predictor.nodes
        feature, threshold = nodes["feature_idx"].astype(np.int64), nodes["num_threshold"].copy()
        for at in np.flatnonzero((nodes["is_categorical"] != 0) & (nodes["is_leaf"] == 0)):
            bits = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][at]]
            key = (int(feature[at]), bits.tobytes(), bool(nodes["missing_go_to_left"][at]))
            feature[at] = self._features + self._found.setdefault(key, len(self._found))
            threshold[at] = 0.5
        return feature, threshold

    def fill(self) -> None:
        """Make a table per feature: codes 0 to 255, then anything else, by sets; 0 goes left, 1 right."""
        order = sorted(self._found.items(), key=lambda item: item[0][0])
        if len(order) * 257 > 4_000_000:
            raise NotDirect("its trees have too many sets of categories")
        by_feature: dict[int, list[tuple[int, NDArray[np.float64]]]] = {}
        for (feature, raw, missing_left), place in order:
            left = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")[:256] > 0
            known = np.unpackbits(self._known[feature].view(np.uint8), bitorder="little")[:256] > 0
            goes_left = np.append(left | (~known & missing_left), missing_left)
            by_feature.setdefault(feature, []).append((place, np.where(goes_left, 0.0, 1.0)))
        self._order = np.empty(len(order), np.int64)
        at = 0
        for feature, columns in by_feature.items():
            self._tables.append((feature, np.column_stack([column for _, column in columns])))
            for place, _ in columns:
                self._order[place] = at
                at += 1

    def widen(self, rows: Matrix) -> Matrix:
        """The rows with the sets after their own features."""
        parts = []
        for feature, table in self._tables:
            codes = rows[:, feature]
            # a code is cut to an integer of 8 bits; beyond them it is for the library to say
            if (codes >= 256).any():
                raise Unsure
            known = codes >= 0
            parts.append(table[np.where(known, codes, 256).astype(np.intp)])
        sets = np.concatenate(parts, axis=1)
        return np.concatenate((rows, sets[:, self._order]), axis=1)
