import json

import numpy as np
import pytest

from loadtest.load.protocols import MLflow, OpenInference, Predict, SageMaker, from_words

ROW = np.array([1.0, 2.5])
KSERVE, TENSORFLOW = Predict("kserve-v1", "a b"), Predict("tfserving", "m")
MLFLOW, SAGEMAKER = MLflow(("age", "income")), SageMaker()


@pytest.mark.parametrize(
    ("codec", "path", "content_type", "body"),
    [
        (KSERVE, "/v1/models/a%20b:predict", "application/json", {"instances": [[1.0, 2.5]]}),
        (TENSORFLOW, "/v1/models/m:predict", "application/json", {"instances": [[1.0, 2.5]]}),
        (
            MLFLOW,
            "/invocations",
            "application/json",
            {"dataframe_split": {"columns": ["age", "income"], "data": [[1.0, 2.5]]}},
        ),
        (SAGEMAKER, "/invocations", "text/csv", "1,2.5"),
    ],
)
def test_requests(codec, path, content_type, body):
    sent = codec.encode(ROW)
    assert (codec.path, codec.content_type) == (path, content_type)
    assert (sent.decode() if isinstance(body, str) else json.loads(sent)) == body


@pytest.mark.parametrize("codec", [KSERVE, TENSORFLOW, MLFLOW, SAGEMAKER, OpenInference("m", "x", "FP64")])
def test_codecs_travel_as_words(codec):
    assert from_words(codec.words) == codec


def test_no_such_protocol():
    with pytest.raises(ValueError, match="no protocol"):
        from_words(["soap", "m"])


@pytest.mark.parametrize(
    ("codec", "body", "prediction"),
    [
        # KServe v1: a list of predictions, whatever the framework makes of one
        (KSERVE, '{"predictions": [1]}', "1"),
        (KSERVE, '{"predictions": ["setosa"]}', "setosa"),
        # TensorFlow Serving: an output of shape (1, 1)
        (TENSORFLOW, '{"predictions": [[0.25]]}', "0.25"),
        # one named output
        (TENSORFLOW, '{"predictions": [{"price": 1.5}]}', "1.5"),
        # MLflow 2: predictions; a data frame comes as records
        (MLFLOW, '{"predictions": [1]}', "1"),
        (MLFLOW, '{"predictions": [{"0": 1.0}]}', "1"),
        # MLflow 1: the list alone
        (MLFLOW, "[1]", "1"),
        # SageMaker: text/csv, as XGBoost answers
        (SAGEMAKER, "0.3", "0.3"),
        (SAGEMAKER, "setosa\n", "setosa"),
        (SAGEMAKER, '"setosa"', "setosa"),
        # JSON, as the scikit-learn container answers
        (SAGEMAKER, "[1.0]", "1"),
        # the linear learner: a label beside its score, and a regression
        (SAGEMAKER, '{"predictions": [{"score": 0.9, "predicted_label": 1}]}', "1"),
        (SAGEMAKER, '{"predictions": [{"score": 0.9}]}', "0.9"),
    ],
)
def test_answers(codec, body, prediction):
    assert codec.decode(body.encode()) == prediction


@pytest.mark.parametrize(
    ("codec", "body"),
    [
        # the answer of another protocol
        (KSERVE, '{"outputs": [{"data": [1]}]}'),
        (KSERVE, '{"predictions": []}'),
        # two where one row was sent: another caller's answer, or probabilities
        (KSERVE, '{"predictions": [1, 0]}'),
        (TENSORFLOW, '{"predictions": [[0.1, 0.9]]}'),
        (KSERVE, '{"predictions": [null]}'),
        (KSERVE, "not JSON"),
        (MLFLOW, '{"error_code": "BAD_REQUEST"}'),
        (MLFLOW, '{"predictions": [1'),
        (SAGEMAKER, ""),
        (SAGEMAKER, "1,2"),
        (SAGEMAKER, "0.1\n0.2"),
        (SAGEMAKER, "<html>"),
        (SAGEMAKER, "[1, 2]"),
        (SAGEMAKER, '{"predictions": ['),
    ],
)
def test_what_is_no_answer_to_one_row(codec, body):
    with pytest.raises(ValueError, match=r"."):
        codec.decode(body.encode())
