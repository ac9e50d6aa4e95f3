from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

from services.model_server.errors import VersionError
from services.model_server.scikit_learn.estimator import Estimator
from services.model_server.tensors import TensorSpec


def test_a_model_that_a_newer_scikit_learn_saved_is_named():
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    # what an older version of the class asks for, and a newer one did not save
    del model.tol
    with pytest.raises(
        VersionError, match=r"v1/model.skops: scikit-learn .* cannot use this LogisticReg.*'tol'"
    ):
        Estimator(model, Path("v1/model.skops"), "classification", TensorSpec("input", "FP64", (-1, 1)))
