import json
from pathlib import Path

import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, ExperimentError
from loadtest.experiment.experiment import Data
from loadtest.load.protocols import PROTOCOLS, codec_from, protocol_named
from loadtest.load.protocols.kserve_v1 import KServeV1, TensorFlowServing
from loadtest.load.protocols.mlflow import MLflow
from loadtest.load.protocols.oip import OpenInference
from loadtest.load.protocols.oip_grpc import OpenInferenceGrpc
from loadtest.load.protocols.sagemaker import SageMaker
from loadtest.load.protocols.template import Template

ROW = [1.0, 2.5]
KSERVE, TENSORFLOW = KServeV1("a b"), TensorFlowServing("m")
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


@pytest.mark.parametrize("codec", [KSERVE, TENSORFLOW, MLFLOW])
def test_cells_are_sent_in_their_own_types(codec):
    assert b'[["K\xc3\xb6ln",null,true,3]]' in codec.encode(["Köln", None, True, 3])


def test_integers_and_truth_values_are_sent_as_the_file_has_them(tmp_path):
    """TensorFlow Serving refuses 17.0 for an integer tensor."""
    (tmp_path / "rows.csv").write_text("age,income,member,label\n17,2.0,true,a\n18,2.5,false,b\n")
    dataset = Dataset.read(Data(path=tmp_path / "rows.csv"))
    for codec in (KSERVE, TENSORFLOW, MLflow(dataset.names)):
        assert b"[[17,2.0,true]]" in codec.body_of(dataset, 0)
    # as before: one tensor of floats, whatever the columns are
    assert b"[17.0,2.0,1.0]" in OpenInference("m", "x", "FP64").body_of(dataset, 0)
    assert SAGEMAKER.body_of(dataset, 0) == b"17,2,1"


def test_infinite_cells_are_no_json(tmp_path):
    (tmp_path / "rows.csv").write_text("age,label\n17.5,a\ninf,b\n")
    with pytest.raises(DatasetError, match="'age' has infinite cells"):
        KSERVE.check(Dataset.read(Data(path=tmp_path / "rows.csv", features=("age",))))


def test_sagemaker_sends_numbers_alone(tmp_path):
    (tmp_path / "rows.csv").write_text("age,city,label\n1,Basel,a\n2,,b\n")
    SAGEMAKER.check(Dataset.read(Data(path=tmp_path / "rows.csv")))
    mixed = Dataset.read(Data(path=tmp_path / "rows.csv", features=("age", "city")))
    with pytest.raises(
        DatasetError, match=r"'city' is not numeric \(it reads 'Basel'\); the protocol sagemaker"
    ):
        SAGEMAKER.check(mixed)


CODECS = [
    *(KSERVE, TENSORFLOW, MLFLOW, SAGEMAKER, OpenInference("m", "x", "FP64"), Template(columns=("age",))),
    OpenInferenceGrpc("m", "x", "FP64", shape=(1, 8, 8)),
]
COLUMNS = OpenInference("m", ("city", "age"), ("BYTES", "FP64"), (1, 0))


@pytest.mark.parametrize("codec", [*CODECS, COLUMNS])
def test_codecs_travel_as_words(codec):
    # as msgpack brings them: lists for tuples
    made = codec_from(json.loads(json.dumps(codec.words)))
    # a worker keeps bodies by codec
    assert (type(made), made, hash(made)) == (type(codec), codec, hash(codec))


def test_every_file_of_a_protocol_registers_it():
    assert {codec.protocol: type(codec) for codec in CODECS} == PROTOCOLS


def test_the_docs_list_every_protocol():
    told = Path("docs/any-server.md").read_text()
    assert [name for name in PROTOCOLS if f"`{name}`" not in told] == []


def test_no_such_protocol():
    with pytest.raises(ExperimentError, match="no protocol 'soap'; there are kserve-v1, "):
        protocol_named("soap")


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
