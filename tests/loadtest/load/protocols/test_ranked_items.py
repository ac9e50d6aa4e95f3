"""Ranked lists in the answers of every protocol."""

import orjson
import pytest

from loadtest.errors import ExperimentError
from loadtest.load.protocols import codec_from
from loadtest.load.protocols.kserve_v1 import KServeV1
from loadtest.load.protocols.mlflow import MLflow
from loadtest.load.protocols.oip import OpenInference
from loadtest.load.protocols.ranked_items import NoAnswer
from loadtest.load.protocols.sagemaker import SageMaker
from loadtest.load.protocols.template import Template

OIP = OpenInference("shop", "x", "FP64")
FLOW, V1, MAKER = MLflow(("x",)), KServeV1("shop"), SageMaker()


def template(answer):
    return Template("/", "{{ row }}", answer, ("x",))


def metadata(*outputs):
    return lambda _: {"outputs": [{"name": name, "shape": shape} for name, shape in outputs]}


def tensor(name, shape, data):
    return {"name": name, "shape": shape, "datatype": "BYTES", "data": data}


def ranked(codec):
    return codec.ranked(metadata(("ranking", [-1, -1])))


ANSWERS = [
    # the output that is asked for, wherever it stands
    (OIP, {"outputs": [tensor("ranking", [1, 2], ["b", "a"])]}, '["b","a"]'),
    (OIP, {"outputs": [tensor("p", [1], ["x"]), tensor("ranking", [1, 1], ["b"])]}, '["b"]'),
    (OIP, {"outputs": [tensor("ranking", [1, 2], [7, 3])]}, '["7","3"]'),
    (OIP, {"outputs": [tensor("ranking", [1, 0], [])]}, "[]"),
    (V1, {"predictions": [["b", "a"]]}, '["b","a"]'),
    (V1, {"predictions": [{"items": [7, 3.0], "scores": [0.9, 0.1]}]}, '["7","3"]'),
    (V1, {"predictions": [[]]}, "[]"),
    (FLOW, {"predictions": [["b", "a"]]}, '["b","a"]'),
    (FLOW, {"predictions": [{"0": "b", "1": "a"}]}, '["b","a"]'),  # a frame with a column a place
    (FLOW, {"predictions": [{"top": ["b", "a"]}]}, '["b","a"]'),
    (FLOW, {"predictions": [[{"item_id": 5, "score": 0.3}, {"item_id": 2, "score": 0.1}]]}, '["5","2"]'),
    (MAKER, {"predictions": [["b"]]}, '["b"]'),
    (template("$.items[*].id"), {"items": [{"id": "b"}, {"id": "a"}]}, '["b","a"]'),
    (template("$.items[*].id"), {"items": []}, "[]"),
    (template("$.items[*]"), {"items": [{"id": "b", "score": 1}]}, '["b"]'),
    (template("$.result"), {"result": ["b", "a"]}, '["b","a"]'),
    (template("$.result"), {"result": ["b"]}, '["b"]'),
]


@pytest.mark.parametrize(("codec", "answer", "text"), ANSWERS)
def test_a_ranking_is_read(codec, answer, text):
    assert ranked(codec).read(orjson.dumps(answer)) == (text, None)


def test_sagemaker_takes_a_line_by_commas():
    assert ranked(MAKER).read(b'"b", a,17\n') == ('["b","a","17"]', None)


@pytest.mark.parametrize(
    ("codec", "answer"),
    [
        (OIP, {"outputs": [tensor("other", [1, 1], ["b"])]}),
        (OIP, {"outputs": [tensor("ranking", [2, 1], ["b", "a"])]}),  # two rows
        (V1, {"predictions": ["b"]}),  # one answer is no list
        (V1, {"predictions": [["b"], ["a"]]}),
        (FLOW, {"predictions": [{"a": 1, "b": 2}]}),
        (FLOW, {"predictions": [["b", None]]}),
        (template("$.items"), {"results": []}),
        (template("$.items[*]"), {"items": [{"score": 1}]}),
        (template("$.items"), {"items": ["x"] * 1001}),
    ],
)
def test_what_is_no_ranking(codec, answer):
    with pytest.raises(ValueError, match=r"."):
        ranked(codec).read(orjson.dumps(answer))


@pytest.mark.parametrize("codec", [FLOW, template("$.items"), template("$.items[*].id")])
def test_a_reported_error_is_shown(codec):
    answer = {"detail": "no such user"} if isinstance(codec, Template) else [{"error": "no such user"}]
    with pytest.raises(NoAnswer, match="no such user"):
        ranked(codec).read(orjson.dumps(answer))


@pytest.mark.parametrize(
    ("outputs", "name"),
    [
        ([("predict", [-1]), ("ranking", [-1, -1])], "ranking"),
        ([("scores", [-1, 5]), ("item_ids", [-1, 5])], "item_ids"),
        ([("output__0", [-1, 5])], ""),  # the only one there is
        ([], ""),
    ],
)
def test_the_output_of_lists_is_found(outputs, name):
    codec = OIP.ranked(metadata(*outputs))
    assert codec.ranking == name
    assert codec_from(codec.words) == codec
    wanted = orjson.loads(codec.encode([1.0])).get("outputs")
    assert wanted == ([{"name": name}] if name else None)


@pytest.mark.parametrize("outputs", [[("predict", [-1])], [("predict", [-1]), ("predict_proba", [-1, 2])]])
def test_a_model_without_lists_is_refused(outputs):
    with pytest.raises(ExperimentError, match=r"gives no ranking: none of its outputs \(predict.*docs/"):
        OIP.ranked(metadata(*outputs))
