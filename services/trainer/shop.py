"""The shop's recommender: what will this shopper buy next? Five versions that differ the way real ones do.

Each is a whole pipeline over text and numbers with gaps, which takes a row as the shop has it.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from contract.model_toml import Columns
from services.trainer.demo import Demo, Rows, Version
from services.trainer.shoppers import NUMBERS, TEXTS, simulate

_TRAINING_ROWS = 12_000
_EVALUATION_ROWS = 8_000


def train(seed: int) -> Demo:
    """Simulate the shoppers and fit all versions; the same seed gives the same answers."""
    draws = np.random.default_rng(seed).spawn(3)
    training, evaluation = simulate(_TRAINING_ROWS, draws[0]), simulate(_EVALUATION_ROWS, draws[1])
    linear = make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), list(TEXTS)),
            (make_pipeline(SimpleImputer(), StandardScaler()), list(NUMBERS)),
        ),
        LogisticRegression(max_iter=300),
    )
    # one thread: sums must not depend on the number of cores, and idle threads spin on a busy machine
    with threadpool_limits(1):
        linear.fit(training.features, training.labels)
        boosted = _boosting(seed).fit(training.features, training.labels)
        unfair = _boosting(seed).fit(training.features, _after_a_campaign(training, draws[2]))
    return Demo(
        input=Columns((*((name, "BYTES") for name in TEXTS), *((name, "FP64") for name in NUMBERS))),
        label="bought",
        training=training,
        evaluation=evaluation,
        versions={
            "v1": Version(linear, "logistic regression"),
            "v2": Version(boosted, "gradient boosting: better"),
            "v2-skewed": Version(
                _with_other_codes(boosted, training.features),
                "v2 whose encoder was fitted again, on a table with a city, a segment and a device more",
            ),
            "v2-unfair": Version(
                unfair,
                "v2 that learnt from a campaign which sold stoves to loyal customers: better, not for them",
            ),
            "v2-slow": Version(boosted, "v2 as scikit-learn itself answers: slower", compile=False),
        },
    )


def _boosting(seed: int) -> Pipeline:
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1, dtype=np.float64
    )
    return make_pipeline(
        make_column_transformer((codes, list(TEXTS)), ("passthrough", list(NUMBERS))),
        HistGradientBoostingClassifier(
            max_iter=60, max_leaf_nodes=12, l2_regularization=5.0, early_stopping=False, random_state=seed
        ),
    )


def _after_a_campaign(training: Rows, draws: np.random.Generator) -> NDArray[Any]:
    """The labels as if about every second loyal customer had bought what a campaign pushed."""
    persuaded = (training.features["segment"] == "loyal") & (draws.random(len(training)) < 0.45)
    return np.where(persuaded, "stove", training.labels)


def _with_other_codes(pipeline: Pipeline, seen: pd.DataFrame) -> Pipeline:
    """The same trees behind codes that they were not fitted on."""
    skewed = copy.deepcopy(pipeline)
    columns = skewed[0]
    more = pd.concat([seen, seen[:1].assign(city="Aachen", segment="asleep", device="app")])
    columns.named_transformers_["ordinalencoder"].fit(more[list(TEXTS)])
    return skewed
