"""XGBoost's trees give what the booster gives, and what is not known stays with the booster."""

import numpy as np
import pytest
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier

from services.model_server.scikit_learn.direct.xgboost_trees import turned

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(600, 5)) * 10.0 ** RNG.integers(-3, 4, 5)
ROWS[RNG.random(ROWS.shape) < 0.1] = np.nan
SIGNAL = np.nan_to_num(ROWS[:, 0]) * np.nan_to_num(ROWS[:, 1])
HIGH = (np.median(SIGNAL) < SIGNAL).astype(int)
BOUNDS = np.quantile(SIGNAL, [0.3, 0.6])
HELD_OUT = [(ROWS[:200], HIGH[:200])]


def pair(model, rows):
    """What the turned trees give, and what the booster gives."""
    booster, rounds = model.get_booster(), model._get_iteration_range(None)
    own = turned(booster, rounds)
    assert own is not None
    given = own.given(rows)
    if own.second:
        # a label is what its probability says
        assert np.array_equal(own.second(rows), given > 1 - given)
    return given, booster.inplace_predict(rows, iteration_range=rounds, validate_features=False)


@pytest.mark.parametrize(
    ("model", "labels", "options"),
    [
        (XGBClassifier(n_estimators=20), HIGH, {}),
        # no gaps while it was trained, and a start of its own
        (XGBClassifier(n_estimators=3, base_score=0.9), HIGH, {}),
        (XGBClassifier(n_estimators=7), np.digitize(SIGNAL, BOUNDS), {}),
        # several trees a round
        (XGBRFClassifier(n_estimators=9), HIGH, {}),
        (XGBRFClassifier(n_estimators=9), np.digitize(SIGNAL, BOUNDS), {}),
        # large values, which single precision rounds
        (XGBRegressor(n_estimators=30), SIGNAL * 1e6, {}),
        # trees that are one leaf
        (XGBRegressor(n_estimators=2, gamma=1e30), SIGNAL, {}),
        # only as many rounds as were best
        (
            XGBClassifier(n_estimators=60, early_stopping_rounds=2),
            HIGH,
            {"eval_set": HELD_OUT, "verbose": False},
        ),
    ],
)
def test_they_give_what_the_booster_gives(model, labels, options):
    model.fit(ROWS, labels, **options)
    # thresholds themselves, and the numbers beside them
    edges = np.unique(ROWS[:100, 0].astype(np.float32))
    beside = np.concatenate(
        [edges, np.nextafter(edges, np.float32(-np.inf)), np.nextafter(edges, np.float32(np.inf))]
    )
    at_edges = np.tile(ROWS[0], (len(beside), 1))
    at_edges[:, 0] = beside
    for rows in (ROWS, at_edges, ROWS[:1]):
        own, given = pair(model, rows)
        if isinstance(model, XGBRegressor):
            assert np.array_equal(own, given)
        else:
            np.testing.assert_allclose(own, given, rtol=0, atol=1e-6)
        assert (own.shape, own.dtype) == (given.shape, given.dtype)
    assert (turned(model.get_booster(), (0, 0)).second is not None) == (labels is HIGH)


@pytest.mark.parametrize(
    "model",
    [
        XGBRegressor(n_estimators=2, objective="count:poisson"),
        XGBRegressor(n_estimators=2, booster="dart"),
        XGBRegressor(n_estimators=2, multi_strategy="multi_output_tree"),
    ],
)
def test_what_is_not_known_is_for_the_booster(model):
    labels = np.abs(ROWS[:, [2, 3]]) if model.multi_strategy else np.abs(SIGNAL)
    model.fit(ROWS, np.nan_to_num(labels))
    assert turned(model.get_booster(), (0, 0)) is None


def test_rows_that_a_rounding_could_decide_are_for_the_booster():
    model = XGBClassifier(n_estimators=1, gamma=1e30, base_score=0.5).fit(ROWS, np.arange(600) % 2)
    own = turned(model.get_booster(), (0, 0))
    assert own is not None
    assert own.given(ROWS[:3]) is None
    assert own.second(ROWS[:3]) is None
    model = XGBRegressor(n_estimators=2).fit(ROWS, SIGNAL)
    own = turned(model.get_booster(), (0, 0))
    assert own is not None
    with np.errstate(over="ignore"):
        assert own.given(np.full((1, 5), 1e300)) is None


def test_a_large_booster_is_not_read_in_the_little_memory_of_a_start():
    class Large:
        def save_raw(self, form):
            assert form == "ubj", "its JSON is many times as large"
            return bytes(5 * 2**20)

    assert turned(Large(), (0, 0)) is None
