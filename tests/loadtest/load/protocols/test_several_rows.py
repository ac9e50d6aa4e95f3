"""Several rows in one request: what is sent, and which answers are those of so many rows."""

import json
from pathlib import Path

import pytest

from loadtest.errors import ExperimentError
from loadtest.load.protocols.class_scores import ClassScores
from loadtest.load.protocols.codec import Codec
from loadtest.load.protocols.kserve_v1 import KServeV1
from loadtest.load.protocols.mlflow import MLflow
from loadtest.load.protocols.oip import OpenInference
from loadtest.load.protocols.oip_grpc import OpenInferenceGrpc
from loadtest.load.protocols.oip_messages import infer_request
from loadtest.load.protocols.ranked_items import NoAnswer
from loadtest.load.protocols.sagemaker import SageMaker
from loadtest.load.protocols.template import Template

ROWS = [[1.0, 2.5], [3.0, 4.0], [5.0, 6.5]]
MATRIX, COLUMNS = OpenInference("m", "x", "FP64"), OpenInference("m", ("b", "a"), ("INT64", "FP32"), (1, 0))
KSERVE, MLFLOW, SAGEMAKER = KServeV1("m"), MLflow(("a", "b")), SageMaker()
OWN = Template("/score", '{"k": 1, "all": {{ rows }}}', "$.items[*].label", ("a", "b"))
ARRAYS = Template("/score", '{"all": {{ rows.cells }}}', "$.labels", ("a", "b"))
TENSOR = {"name": "x", "shape": [3, 2], "datatype": "FP64", "data": [1, 2.5, 3, 4, 5, 6.5]}
SCORED = {"scores": ClassScores.of(("no", "yes"), named=True)}


def outputs(*tensors):
    return json.dumps({"outputs": [dict(zip(("name", "shape", "data"), t, strict=True)) for t in tensors]})


def oip_scored(*names):
    return OpenInference("m", "x", "FP64", scores=ClassScores.of(("no", "yes"), named=True, outputs=names))


@pytest.mark.parametrize(
    ("codec", "body"),
    [
        (MATRIX, {"inputs": [TENSOR]}),
        (
            COLUMNS,
            {
                "inputs": [
                    {"name": "b", "shape": [3], "datatype": "INT64", "data": [2, 4, 6]},
                    {"name": "a", "shape": [3], "datatype": "FP32", "data": [1, 3, 5]},
                ],
                "parameters": {"content_type": "pd"},
            },
        ),
        (KSERVE, {"instances": ROWS}),
        (MLFLOW, {"dataframe_split": {"columns": ["a", "b"], "data": ROWS}}),
        (OWN, {"k": 1, "all": [{"a": 1, "b": 2.5}, {"a": 3, "b": 4}, {"a": 5, "b": 6.5}]}),
        (ARRAYS, {"all": ROWS}),
    ],
)  # fmt: skip
def test_requests(codec: Codec, body):
    codec.check_several(3)
    assert json.loads(codec.encode_rows(ROWS)) == body


def test_requests_that_are_no_json():
    assert SAGEMAKER.encode_rows(ROWS) == b"1,2.5\n3,4\n5,6.5"
    assert OpenInferenceGrpc("m", "x", "FP64").encode_rows(ROWS) == infer_request("m", [TENSOR], {})


@pytest.mark.parametrize("codec", [MATRIX, COLUMNS, KSERVE, MLFLOW, SAGEMAKER, OWN, ARRAYS])
def test_one_row_is_sent_as_ever(codec: Codec):
    assert codec.encode_rows(ROWS[:1]) == codec.encode(ROWS[0])


@pytest.mark.parametrize(
    ("codec", "answer", "told"),
    [
        # MLServer's scikit-learn runtime, and its XGBoost runtime
        (MATRIX, outputs(("predict", [3, 1], [0, 1, 0])), ["0", "1", "0"]),
        (MATRIX, outputs(("predict", [3], ["a", "b", "a"])), ["a", "b", "a"]),
        # Triton gives elements flat, others nested
        (MATRIX, outputs(("y", [3, 1], [[0], [1], [0]])), ["0", "1", "0"]),
        (KSERVE, '{"predictions": [1, 1, 2]}', ["1", "1", "2"]),
        (KSERVE, '{"predictions": [[1], [1], [2]]}', ["1", "1", "2"]),
        # of MLflow: a list, records of a data frame, and the bare list of MLflow 1
        (MLFLOW, '{"predictions": ["a", "b", "a"]}', ["a", "b", "a"]),
        (MLFLOW, '{"predictions": [{"y": 1}, {"y": 0}, {"y": 1}]}', ["1", "0", "1"]),
        (MLFLOW, "[1, 0, 1]", ["1", "0", "1"]),
        # SageMaker: CSV by lines and by commas, JSON Lines, and JSON of the linear learner
        (SAGEMAKER, "1\n0\n1\n", ["1", "0", "1"]),
        (SAGEMAKER, "1.0,0.0,1.0", ["1", "0", "1"]),
        (SAGEMAKER, '{"score": 0.4, "predicted_label": 0}\n' * 3, ["0", "0", "0"]),
        (SAGEMAKER, '{"predictions": [{"score": 0.9, "predicted_label": 1}, {"predicted_label": 2}, 0]}',
         ["1", "2", "0"]),
        (OWN, '{"items": [{"label": "x"}, {"label": "y"}, {"label": "x"}]}', ["x", "y", "x"]),
        (ARRAYS, '{"labels": ["x", "y", "x"]}', ["x", "y", "x"]),
    ],
)  # fmt: skip
def test_answers(codec: Codec, answer, told):
    assert codec.read_rows(answer.encode(), 3) == [(text, None) for text in told]


@pytest.mark.parametrize(
    ("codec", "answer"),
    [
        (oip_scored("y", "p"),
         outputs(("y", [2], ["no", "yes"]), ("p", [2, 2], [0.75, 0.25, 0.125, 0.875]))),
        (oip_scored("p"),
         outputs(("p", [2, 2], [[0.75, 0.25], [0.125, 0.875]]))),
        (KServeV1("m", **SCORED), '{"predictions": [[0.75, 0.25], [0.125, 0.875]]}'),
        (MLflow(("a",), **SCORED), '[{"no": 0.75, "yes": 0.25}, {"no": 0.125, "yes": 0.875}]'),
        (SageMaker(**SCORED), "0.75,0.25\n0.125,0.875"),
    ],
)  # fmt: skip
def test_answers_with_scores(codec: Codec, answer):
    assert codec.read_rows(answer.encode(), 2) == [("no", (0.75, 0.25)), ("yes", (0.125, 0.875))]


def test_rankings():
    ranked = OpenInference("m", "x", "FP64", ranking="items")
    answer = outputs(("predict", [2], ["p", "q"]), ("items", [2, 3], ["p", "q", "r", "q", "r", "p"]))
    assert [text for text, _ in ranked.read_rows(answer.encode(), 2)] == ['["p","q","r"]', '["q","r","p"]']


@pytest.mark.parametrize(
    ("codec", "answer"),
    [
        # one too few, one too many, one for all, one for each of two outputs
        (MATRIX, outputs(("predict", [2], [0, 1]))),
        (MATRIX, outputs(("predict", [4], [0, 1, 0, 1]))),
        (MATRIX, outputs(("predict", [1, 3], [0, 1, 0]))),
        (MATRIX, outputs(("predict", [3], 1))),
        (KSERVE, '{"predictions": [1, 1]}'),
        (KSERVE, '{"predictions": 1}'),
        (MLFLOW, "[]"),
        (SAGEMAKER, ""),
        (SAGEMAKER, "1\n0"),
        (SAGEMAKER, "1\n\n0"),
        (SAGEMAKER, "<html>\n<p>\n</html>"),
        (OWN, '{"items": []}'),
        (ARRAYS, '{"labels": "x"}'),
        # a row without an answer of its own
        (KSERVE, '{"predictions": [1, [1, 2], 1]}'),
    ],
)
def test_no_answers_to_so_many_rows(codec: Codec, answer):
    with pytest.raises(ValueError):
        codec.read_rows(answer.encode(), 3)


def test_an_error_in_place_of_the_answers():
    with pytest.raises(NoAnswer, match="out of memory"):
        KSERVE.read_rows(b'{"predictions": {"error": "out of memory"}}', 3)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{{ row }}", r"body takes one row; write \{\{ rows \}\}"),
        ('{"a": {{ rows }}, "b": {{ row.a }}}', "places of one row beside the list"),
    ],
)
def test_a_template_that_takes_one_row(body, says):
    with pytest.raises(ExperimentError, match=says):
        Template("/", body, "$", ("a", "b")).check_several(8)


def test_a_protocol_of_one_row():
    class One(Codec):
        protocol = "one"
        path = "/"

        def encode(self, row):
            return Path(str(row)).name.encode()

        def decode(self, body):
            return body.decode()

    with pytest.raises(ExperimentError, match="the protocol one sends one row per request"):
        One().check_several(2)
