"""Scores in the answers of each protocol: bodies as servers give them, and what is not one row's scores."""

import json
from dataclasses import replace

import pytest

from loadtest.errors import ExperimentError
from loadtest.load.protocols import codec_from
from loadtest.load.protocols.class_scores import ClassScores
from loadtest.load.protocols.kserve_v1 import KServeV1
from loadtest.load.protocols.mlflow import MLflow
from loadtest.load.protocols.oip import OpenInference
from loadtest.load.protocols.ranked_items import NoAnswer
from loadtest.load.protocols.sagemaker import SageMaker

BINARY, THREE = ("0", "1"), ("bird", "cat", "dog")
KSERVE, MLFLOW, SAGEMAKER = KServeV1("m"), MLflow(("x",)), SageMaker()


def nobody(path):
    raise AssertionError(f"{path} was asked for")


def scored(codec, classes, *, named=True):
    return codec.scored(classes, named=named, ask=nobody)


@pytest.mark.parametrize(
    ("codec", "classes", "body", "label", "scores"),
    [
        # TensorFlow Serving: a sigmoid, and a softmax
        (KSERVE, BINARY, '{"predictions": [[0.83]]}', "1", (0.83,)),
        (KSERVE, BINARY, '{"predictions": [0.3]}', "0", (0.3,)),
        (KSERVE, THREE, '{"predictions": [[0.1, 0.2, 0.7]]}', "dog", (0.1, 0.2, 0.7)),
        (KSERVE, BINARY, '{"predictions": [{"scores": [0.6, 0.4], "label": 1}]}', "1", (0.6, 0.4)),
        (KSERVE, BINARY, '{"predictions": [{"probabilities": [1, 0]}]}', "0", (1.0, 0.0)),
        # MLflow: an array of predict_proba, and a frame whose columns are the classes, in any order
        (MLFLOW, BINARY, '{"predictions": [[0.25, 0.75]]}', "1", (0.25, 0.75)),
        (MLFLOW, THREE, '[{"dog": 0.6, "bird": 0.3, "cat": 0.1}]', "dog", (0.3, 0.1, 0.6)),
        (MLFLOW, BINARY, '{"predictions": [{"0": 0.25, "1": 0.75}]}', "1", (0.25, 0.75)),
        # SageMaker: XGBoost's binary:logistic and multi:softprob as text and JSON, the linear learner
        (SAGEMAKER, BINARY, "0.83\n", "1", (0.83,)),
        (SAGEMAKER, THREE, "0.1,0.2,0.7\n", "dog", (0.1, 0.2, 0.7)),
        (SAGEMAKER, THREE, "[0.1, 0.2, 0.7]", "dog", (0.1, 0.2, 0.7)),
        (SAGEMAKER, BINARY, '{"predictions": [{"score": 0.4}]}', "0", (0.4,)),
        (SAGEMAKER, BINARY, '{"predictions": [{"score": 0.4, "predicted_label": 1}]}', "1", (0.4,)),
    ],
)  # fmt: skip
def test_scores_alone_or_beside_a_label(codec, classes, body, label, scores):
    assert scored(codec, classes).read(body.encode()) == (label, scores)


@pytest.mark.parametrize(
    ("codec", "threshold", "body", "label"),
    [
        (SAGEMAKER, 0.3, "0.31", "1"),
        (SAGEMAKER, 0.3, "0.29", "0"),
        # at the threshold, as double and as single precision
        (SAGEMAKER, 0.7, "0.7", "1"),
        (KSERVE, 0.7, '{"predictions": [0.699999988079071]}', "1"),
        # two scores, the second one's counts; the version's own label does not
        (MLFLOW, 0.3, '{"predictions": [[0.6, 0.4]]}', "1"),
        (SAGEMAKER, 0.3, '{"predictions": [{"score": 0.4, "predicted_label": 0}]}', "1"),
        # scores that a server rounded
        (SAGEMAKER, 0.5, "1", "1"),
        (KSERVE, 0.5, '{"predictions": [0]}', "0"),
        # margins have no bounds
        (SAGEMAKER, -1.5, "-1.2", "1"),
    ],
)
def test_a_threshold_makes_the_label(codec, threshold, body, label):
    reader = replace(ClassScores.of(BINARY, named=True), threshold=threshold)
    there = codec_from(replace(codec, scores=reader).words)
    assert there.read(body.encode())[0] == label


@pytest.mark.parametrize(
    ("codec", "classes", "named", "body", "says"),
    [
        # labels, and no scores: 1 is no certainty
        (KSERVE, BINARY, True, '{"predictions": [1]}', "1 is a label, and no score"),
        (MLFLOW, THREE, True, '{"predictions": ["cat"]}', "'cat' is a label, and no score"),
        # two rows
        (KSERVE, BINARY, True, '{"predictions": [0.1, 0.9]}', "2 elements where one"),
        # not one per class
        (KSERVE, THREE, True, '{"predictions": [[0.4, 0.6]]}', "2 scores where 3 are expected"),
        (KSERVE, THREE, True, '{"predictions": [[0.4]]}', "one score where there is one per class"),
        # nobody says which is which
        (KSERVE, THREE, False, '{"predictions": [[0.1, 0.2, 0.7]]}', r"under \[data\] classes"),
        (KSERVE, ("no", "yes"), False, '{"predictions": [0.4]}', "the positive one last"),
        # no numbers
        (MLFLOW, BINARY, True, '{"predictions": [[0.5, null]]}', "None is no score"),
        (MLFLOW, BINARY, True, '{"predictions": [[0.5, 1e39]]}', "is no score"),
        (MLFLOW, BINARY, True, '{"predictions": [[0.5, true]]}', "True is no score"),
        (MLFLOW, BINARY, True, '{"predictions": [{"a": 0.5, "b": 0.5}]}', "no scores under a, b"),
        (SAGEMAKER, BINARY, True, "healthy", "could not convert"),
    ],
)
def test_what_are_no_scores(codec, classes, named, body, says):
    with pytest.raises(ValueError, match=says):
        scored(codec, classes, named=named).read(body.encode())


def test_the_report_of_an_error_is_no_answer():
    with pytest.raises(NoAnswer, match="out of memory"):
        scored(MLFLOW, BINARY).read(b'{"predictions": [{"error": "out of memory"}]}')


def test_labels_that_are_0_and_1_need_no_names():
    assert scored(KSERVE, BINARY, named=False).read(b'{"predictions": [0.75]}') == ("1", (0.75,))


def oip(metadata, classes=THREE, *, named=False):
    codec = OpenInference("m", "x", "FP64")
    return codec.scored(classes, named=named, ask=lambda path: {"/v2/models/m": metadata}[path])


OURS = {
    "outputs": [{"name": "predict"}, {"name": "predict_proba"}],
    "parameters": {"classes": ["dog", "bird", "cat"]},
}
NO_OUTPUTS = {"parameters": {"classes": ["bird", "dog"]}}
"""A version that does not know cats, on a server whose metadata names no outputs, as MLServer's."""


def answer(**outputs):
    told = [{"name": name, "shape": [1, 1], "data": data} for name, data in outputs.items()]
    return json.dumps({"outputs": told}).encode()


def test_the_open_inference_protocol_asks_for_both_outputs_and_puts_the_classes_in_order():
    codec = oip(OURS)
    assert json.loads(codec.encode([1.0]))["outputs"] == [{"name": "predict"}, {"name": "predict_proba"}]
    # in any order, and a label that was decided by another threshold stays
    told = answer(predict_proba=[0.5, 0.2, 0.3], predict=["cat"])
    assert codec.read(told) == ("cat", (0.2, 0.3, 0.5))


def test_a_class_that_the_version_does_not_know_has_no_score():
    assert oip(NO_OUTPUTS).read(answer(predict=["dog"], predict_proba=[0.1, 0.9])) == ("dog", (0.1, 0.0, 0.9))


def test_an_output_of_scores_alone_gives_the_label():
    codec = oip({"outputs": [{"name": "probabilities"}]}, named=True)
    assert codec.read(answer(probabilities=[0.1, 0.7, 0.2])) == ("cat", (0.1, 0.7, 0.2))


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"outputs": [{"name": "predict"}]}, r"gives no scores: none of its outputs \(predict\) is named"),
        (OURS | {"parameters": {"classes": ["bird", "cat", "eel"]}}, "'eel', which no row has; name all"),
        # an exported classifier: a tensor, and nothing beside it
        (
            {"outputs": [{"name": "probabilities", "shape": [-1, 3]}]},
            r"gives 3 scores and does not say of which class; name the classes in their order under \[data\]",
        ),
    ],
)
def test_models_that_give_no_scores_of_these_classes_are_refused(metadata, says):
    with pytest.raises(ExperimentError, match=says):
        oip(metadata)


@pytest.mark.parametrize(
    "body", [answer(predict=["dog"]), b'{"outputs": [1]}', b'{"outputs": [{"name": "predict"}]}']
)
def test_an_answer_without_the_output_is_none(body):
    with pytest.raises(ValueError, match="no output"):
        oip(OURS).read(body)


@pytest.mark.parametrize("codec", [scored(KSERVE, BINARY), scored(SAGEMAKER, THREE, named=False), oip(OURS)])
def test_codecs_that_read_scores_travel_as_words(codec):
    assert codec_from(json.loads(json.dumps(codec.words))) == codec


def test_labels_of_any_type_are_one():
    # a CSV column with a gap reads 1.0, a model says True
    assert ClassScores.of(("0", "1"), named=False, own=[1.0, 0.0]).places == (1, 0)
    assert ClassScores.of(("false", "true"), named=False, own=[False, True]).places == (0, 1)
