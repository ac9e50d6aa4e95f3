"""What objects that are no estimators themselves carry."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression

from services.model_server.errors import VersionError
from services.model_server.scikit_learn.estimator import describe
from services.model_server.scikit_learn.estimators_in import inner_estimator

ROWS = np.eye(3)
FITTED = LinearRegression().fit(ROWS, [1, 2, 3])


class Wrapper:
    def __init__(self, estimator):
        self._model = estimator

    @property
    def estimator(self):
        return self._model


class Own(ClassifierMixin, BaseEstimator):
    n_features_in_ = 3

    def __init__(self, estimator=None):
        self.estimator = estimator


class Search(BaseEstimator):
    """As AutoML libraries' own classes are: it fits and predicts, and says not what it is."""

    def __init__(self, trained=None, **more):
        self._trained = trained
        vars(self).update(more)

    @property
    def model(self):
        return self._trained

    @property
    def broken(self):
        raise RuntimeError("asked too early")

    def fit(self, rows, labels):
        return self

    def predict(self, rows):
        return rows


@pytest.mark.parametrize(
    ("carrier", "path"),
    [
        (Search(Wrapper(FITTED)), "model.estimator"),
        # the nearest one
        (Search(Wrapper(FITTED), best_=FITTED), "best_"),
        (Search(_kept=FITTED), "_kept"),
        # FLAML's AutoML keeps its own kind of classifier, which needs FLAML, around the library's
        (Search(Own(FITTED)), "model.estimator"),
        # it was never fitted, or is a class, or there is nothing
        (Search(Wrapper(DummyClassifier()), kind=DummyClassifier), None),
        (Search(), None),
        # of a part of the columns, as scikit-lego's GroupedPredictor keeps one
        (Search(fallback_=FITTED, n_features_in_=FITTED.n_features_in_ + 1), None),
        # too deep
        (Search(Wrapper(Wrapper(Wrapper(FITTED)))), None),
    ],
)
def test_the_estimator_that_an_object_carries(carrier, path, tmp_path):
    assert inner_estimator(carrier) == (None if path is None else (path, FITTED))
    named = "" if path is None else f"it carries a fitted LinearRegression as its {path}: save that, .* or "
    with pytest.raises(VersionError, match=f"a Search is no classifier, .*; {named}rename model.joblib and"):
        describe(carrier, tmp_path / "model.joblib")


def test_one_that_carries_itself_comes_to_an_end():
    carrier = Search()
    carrier.me = [carrier]
    carrier.other = Wrapper(carrier)
    assert inner_estimator(carrier) is None
