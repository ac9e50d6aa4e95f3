"""What feedback makes of a prediction: labels by the rule that every side shares, values as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from services.model_server.canary.feedback import outcome
from services.model_server.errors import RequestError


@pytest.mark.parametrize(
    ("predicted", "truth", "word"),
    [
        # a truth value, as JSON, a CSV file and Python write it
        (True, True, "correct"),
        (True, "true", "correct"),
        (True, "True", "correct"),
        (False, "TRUE", "incorrect"),
        ("True", True, "correct"),
        # a class that is a number
        (3, "3", "correct"),
        (3, 3.0, "correct"),
        (3.0, "3", "correct"),
        (3, "03", "incorrect"),
        # codes stay as they are written
        ("01", "01", "correct"),
        ("01", 1, "incorrect"),
        ("1E2", 100, "incorrect"),
    ],
)
def test_labels(predicted: Any, truth: Any, word: str) -> None:
    assert outcome("classification", predicted, truth) == (word, None)


def test_values_have_an_error() -> None:
    assert outcome("regression", 2.5, 2) == ("received", 0.5)


@pytest.mark.parametrize(
    ("task", "truth", "says"),
    [
        *(("classification", truth, "text, a number, true or false") for truth in (None, ["a"], {}, np.inf)),
        ("regression", None, "text, a number, true or false"),
        # no number, and one that Python counts as one
        ("regression", "2", "must be a number"),
        ("regression", True, "must be a number"),
    ],
)
def test_what_is_no_label(task: str, truth: Any, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        outcome(task, 2.5 if task == "regression" else "a", truth)
