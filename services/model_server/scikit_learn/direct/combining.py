"""Models made of models: voting, stacking, calibration, a target that was transformed.

Each member is compiled by itself, with the steps in it. One that is not known leaves all to the library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import StackingClassifier, StackingRegressor, VotingClassifier, VotingRegressor
from sklearn.isotonic import IsotonicRegression

from services.model_server.scikit_learn.direct.head import Answer
from services.model_server.scikit_learn.direct.step import Kind, NotDirect, Step, Unsure, ahead
from services.model_server.scikit_learn.direct.trees import CLOSE

Member = Callable[[Any, Step, Kind], Answer]
"""(fitted model, the step before it, what it is given) to what answers; raises ``NotDirect``."""

_PREDICT, _PROBABILITIES = frozenset(["predict"]), frozenset(["predict_proba"])
_DECISION = frozenset(["decision_function"])


def _likeliest(probabilities: NDArray[Any]) -> NDArray[Any]:
    """The place of the largest; two that are as large are the library's to order."""
    if probabilities.shape[1] > 1 and not ahead(probabilities, CLOSE):
        raise Unsure
    return np.asarray(probabilities.argmax(axis=1))


def _voting_classifier(model: VotingClassifier, given: Step, kind: Kind, member: Member) -> Answer:
    members = [member(one, given, kind) for one in model.estimators_]
    weights, classes = model._weights_not_none, model.le_.classes_

    def soft(rows: Any, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:  # noqa: ARG001
        each = np.asarray([one(rows, _PROBABILITIES)["predict_proba"] for one in members])
        made = np.average(each, axis=0, weights=weights)
        return {"predict": classes.take(_likeliest(made)), "predict_proba": made}

    def hard(rows: Any, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:  # noqa: ARG001
        each = np.asarray([one(rows, _PREDICT)["predict"] for one in members]).T
        at = [np.argmax(np.bincount(votes, weights=weights)) for votes in each]
        return {"predict": classes.take(at)}

    return soft if model.voting == "soft" else hard


def _voting_regressor(model: VotingRegressor, given: Step, kind: Kind, member: Member) -> Answer:
    members = [member(one, given, kind) for one in model.estimators_]
    weights = model._weights_not_none

    def run(rows: Any, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:  # noqa: ARG001
        each = np.asarray([one(rows, _PREDICT)["predict"] for one in members]).T
        return {"predict": np.average(each, axis=1, weights=weights)}

    return run


def _stacking(model: Any, given: Step, kind: Kind, member: Member) -> Answer:
    if model.passthrough and kind is not Kind.CELLS:
        raise NotDirect("its last model takes a sparse matrix beside its members' answers")
    members = [
        (member(one, given, kind), frozenset([method]), method)
        for one, method in zip(model.estimators_, model.stack_method_, strict=True)
    ]
    labels = getattr(model, "classes_", None)
    two = labels is not None and len(labels) == 2
    last = member(model.final_estimator_, Step(list, model.final_estimator_.n_features_in_), Kind.CELLS)
    encoded = getattr(getattr(model, "_label_encoder", None), "classes_", None)
    passthrough = model.passthrough

    def run(rows: Any, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        parts = []
        for one, names, method in members:
            made = one(rows, names)[method]
            if made.ndim == 1:
                made = made[:, None]
            elif two and method == "predict_proba":
                made = made[:, 1:]
            parts.append(made)
        if passthrough:
            parts.append(np.array(rows, np.float64))
        results = last(np.hstack(parts).tolist(), outputs)
        if encoded is not None and "predict" in results:
            results["predict"] = encoded.take(results["predict"])
        return results

    return run


def _calibrated(model: CalibratedClassifierCV, given: Step, kind: Kind, member: Member) -> Answer:
    classes = model.classes_
    parts = []
    for one in model.calibrated_classifiers_:
        if one.method not in ("sigmoid", "isotonic"):
            raise NotDirect(f"its calibration is {one.method}")
        if list(one.estimator.classes_) != list(classes):
            raise NotDirect("one of its members knows other classes")
        decides = hasattr(one.estimator, "decision_function")
        parts.append((member(one.estimator, given, kind), decides, [_curve(c) for c in one.calibrators]))
    two = len(classes) == 2

    def run(rows: Any, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:  # noqa: ARG001
        sums = np.zeros((len(rows), len(classes)))
        for one, decides, curves in parts:
            if decides:
                scores = one(rows, _DECISION)["decision_function"]
                scores = scores[:, None] if scores.ndim == 1 else scores
            else:
                scores = one(rows, _PROBABILITIES)["predict_proba"]
                scores = scores[:, 1:] if two else scores
            made = np.stack([curve(scores[:, at]) for at, curve in enumerate(curves)], axis=1)
            if two:
                made = np.concatenate((1.0 - made, made), axis=1)
            else:
                whole = made.sum(axis=1)[:, None]
                if not whole.all():
                    raise Unsure
                made = made / whole
            made[(made > 1.0) & (made <= 1.0 + 1e-5)] = 1.0
            sums += made
        sums /= len(parts)
        return {"predict": classes.take(_likeliest(sums)), "predict_proba": sums}

    return run


def _curve(calibrator: Any) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """A score to a probability."""
    if isinstance(calibrator, IsotonicRegression):
        if calibrator.out_of_bounds != "clip":
            raise NotDirect("its calibration has bounds of its own")
        low, high, curve = calibrator.X_min_, calibrator.X_max_, calibrator.f_
        return lambda scores: np.asarray(curve(np.clip(scores, low, high)))
    slope, shift = calibrator.a_, calibrator.b_
    return lambda scores: np.asarray(expit(-(slope * scores + shift)))


def _target(model: TransformedTargetRegressor, given: Step, kind: Kind, member: Member) -> Answer:
    if model._training_dim != 1:
        raise NotDirect("it has several outputs")
    inner, transformer = member(model.regressor_, given, kind), model.transformer_
    function = getattr(transformer, "inverse_func", None)
    back = function if isinstance(function, np.ufunc) else None

    def run(rows: Any, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:  # noqa: ARG001
        made = inner(rows, _PREDICT)["predict"]
        return {"predict": back(made) if back else transformer.inverse_transform(made[:, None])[:, 0]}

    return run


KNOWN: dict[type, Callable[[Any, Step, Kind, Member], Answer]] = {
    VotingClassifier: _voting_classifier,
    VotingRegressor: _voting_regressor,
    StackingClassifier: _stacking,
    StackingRegressor: _stacking,
    CalibratedClassifierCV: _calibrated,
    TransformedTargetRegressor: _target,
}
