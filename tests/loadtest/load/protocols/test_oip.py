import json

import numpy as np
import pytest

from loadtest.errors import ExperimentError, TargetError
from loadtest.load.protocols.oip import OpenInference


def metadata(datatype="FP64", shape=(-1, 2), inputs=1, **more):
    return {"inputs": [{"name": "x", "datatype": datatype, "shape": list(shape)}] * inputs} | more


@pytest.mark.parametrize(
    "said",
    [
        metadata(),
        metadata(shape=(-1, -1)),  # any number of features
        metadata(datatype="INT32"),
        metadata(parameters={"columns": ["a", "b"]}),
        metadata(parameters=None),
    ],
)
def test_metadata_that_fits(said):
    codec = OpenInference.from_metadata("m", said, ["a", "b"])
    assert codec == OpenInference("m", "x", said["inputs"][0]["datatype"])


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        (metadata(shape=(-1, 3)), ExperimentError, "takes 3 features, the evaluation set has 2"),
        (metadata(parameters={"columns": ["b", "a"]}), ExperimentError, "model's order"),
        (metadata(inputs=2), TargetError, "2 input tensors"),
        (metadata(datatype="BYTES"), TargetError, "datatype BYTES"),
        ({"inputs": "x"}, TargetError, "metadata is not"),
        ({}, TargetError, "metadata is not"),
        ([], TargetError, "metadata is not"),
    ],
)
def test_metadata_that_does_not_fit(said, error, message):
    with pytest.raises(error, match=message):
        OpenInference.from_metadata("m", said, ["a", "b"])


def test_a_row_is_one_tensor():
    row = np.array([1.5, 2.0])
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1.5, 2.0]}
    assert json.loads(OpenInference("m", "x", "FP64").encode(row)) == {"inputs": [tensor]}
    assert b'"data":[1,2]' in OpenInference("m", "x", "INT64").encode(row)


def test_the_path_is_quoted():
    assert OpenInference("a b/c", "x", "FP64").path == "/v2/models/a%20b%2Fc/infer"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (["shoes"], "shoes"),
        ([3], "3"),
        ([3.0], "3"),
        ([[2.5]], "2.5"),  # nested
        ([True], "true"),
        (7, "7"),
    ],
)
def test_predictions_as_text(data, text):
    body = json.dumps({"outputs": [{"name": "predict", "data": data}, {"name": "more", "data": [1, 2]}]})
    assert OpenInference("m", "x", "FP64").decode(body.encode()) == text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'{"outputs": []}',
        b'{"outputs": [{}]}',
        b'{"outputs": [{"data": []}]}',
        b'{"outputs": [{"data": [1, 2]}]}',  # two answers to one row
        b'{"outputs": [{"data": [null]}]}',
        b'{"outputs": [{"data": [{}]}]}',
    ],
)
def test_what_is_no_answer(body):
    with pytest.raises(ValueError):
        OpenInference("m", "x", "FP64").decode(body)
