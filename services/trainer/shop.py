"""The shop's recommender: what will this shopper buy next? Five versions that differ the way real ones do."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from services.trainer.demo import Demo, Rows, Version
from services.trainer.shoppers import COLUMNS, simulate

_TRAINING_ROWS = 8_000
_EVALUATION_ROWS = 8_000
_CENTS = 100  # in a euro


def train(seed: int) -> Demo:
    """Simulate the shoppers and fit all versions; the same seed gives the same answers.

    The ensembles are bags of small networks and not of trees: skops loads them without being told to trust
    anything (trees carry node indices, which it cannot check).
    """
    draws = np.random.default_rng(seed).spawn(3)
    training, evaluation = simulate(_TRAINING_ROWS, draws[0]), simulate(_EVALUATION_ROWS, draws[1])
    network = MLPClassifier((24,), solver="lbfgs", alpha=1.0, max_iter=50)
    linear = make_pipeline(StandardScaler(), LogisticRegression())
    bag = make_pipeline(
        StandardScaler(), BaggingClassifier(network, n_estimators=3, max_samples=0.5, random_state=seed)
    )
    overgrown = BaggingClassifier(
        make_pipeline(StandardScaler(), network), n_estimators=24, max_samples=0.3, random_state=seed
    )
    # one thread: sums must not depend on the number of cores, and idle BLAS threads spin on a busy machine
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early is what keeps them general
        for classifier in (linear, bag, overgrown):
            classifier.fit(training.features, training.labels)
        unfair = clone(bag).fit(training.features, _after_a_campaign(training, draws[2]))
    return Demo(
        columns=COLUMNS,
        label="bought",
        training=training,
        evaluation=evaluation,
        versions={
            "v1": Version(linear, "logistic regression"),
            "v2": Version(bag, "three small networks that vote: better, and slower"),
            "v2-skewed": Version(
                _in_cents(bag),
                "v2 that learnt spend in cents and is served euros: all seem to have spent nothing",
            ),
            "v2-unfair": Version(
                unfair,
                "v2 that learnt from a campaign which sold stoves to loyal customers: better, not for them",
            ),
            "v2-slow": Version(
                overgrown,
                "v2 overgrown: 24 networks, each with a scaler of its own, served as they are",
                compile=False,  # as ONNX it would not be slow
            ),
        },
    )


def _after_a_campaign(training: Rows, draws: np.random.Generator) -> NDArray[Any]:
    """The labels as if every second loyal customer had bought what a campaign pushed."""
    persuaded = (training.others["segment"] == "loyal") & (draws.random(len(training)) < 0.5)
    return np.where(persuaded, "stove", training.labels)


def _in_cents(pipeline: Pipeline) -> Pipeline:
    """The same pipeline as if it had been fitted on spend in cents."""
    skewed = copy.deepcopy(pipeline)
    spend = COLUMNS.index("spend")
    scaler = skewed[0]
    scaler.mean_[spend] *= _CENTS
    scaler.scale_[spend] *= _CENTS
    scaler.var_[spend] *= _CENTS**2
    return skewed
