"""The values of several outputs in the answers of each protocol, and an output that is not there."""

import json

import pytest

from loadtest.errors import ExperimentError, TargetError
from loadtest.load.protocols import codec_from
from loadtest.load.protocols.kserve_v1 import KServeV1
from loadtest.load.protocols.mlflow import MLflow
from loadtest.load.protocols.oip import OpenInference
from loadtest.load.protocols.oip_grpc import OpenInferenceGrpc
from loadtest.load.protocols.ranked_items import NoAnswer
from loadtest.load.protocols.sagemaker import SageMaker
from loadtest.load.protocols.template import Template

KSERVE, MLFLOW, SAGEMAKER = KServeV1("m"), MLflow(("x",)), SageMaker()


def nobody(path):
    raise AssertionError(f"{path} was asked for")


def answering(answer):
    return Template("/predict", "{{ row }}", answer, ("x",))


@pytest.mark.parametrize(
    ("codec", "names", "body", "values"),
    [
        # a frame of MLflow, in any order of its columns; an array
        (MLFLOW, ("price", "days"), '{"predictions": [{"days": 7, "price": 2.5}]}', (2.5, 7.0)),
        (MLFLOW, ("1", "0"), '{"predictions": [[2.5, 7]]}', (7.0, 2.5)),
        # TensorFlow Serving: several outputs, each a list of one
        (KSERVE, ("days", "price"), '{"predictions": [{"price": [2.5], "days": [7.0]}]}', (7.0, 2.5)),
        (KSERVE, ("0", "2"), '{"predictions": [[2.5, 7.0, -1.0]]}', (2.5, -1.0)),
        # one output alone
        (KSERVE, ("0",), '{"predictions": [2.5]}', (2.5,)),
        (SAGEMAKER, ("1", "0"), "2.5,7\n", (7.0, 2.5)),
        (SAGEMAKER, ("price",), '{"predictions": [{"price": 2.5, "days": 7}]}', (2.5,)),
        # a service of one's own: an object, a list of values, below a name
        (answering("$"), ("price",), '{"price": 2.5, "model": "v3"}', (2.5,)),
        (answering("$.result"), ("days",), '{"result": {"values": {"price": 2.5, "days": 7}}}', (7.0,)),
        (answering("$.quantiles[*]"), ("0", "1"), '{"quantiles": [2.5, 7]}', (2.5, 7.0)),
    ],
)
def test_values_stand_under_names_or_places(codec, names, body, values):
    reader = codec.with_outputs(names, nobody)
    assert reader.read(body.encode()) == (f"{values[0]:g}", values)
    assert codec_from(reader.words) == reader


@pytest.mark.parametrize(
    ("codec", "body", "says"),
    [
        (MLFLOW, '{"predictions": [{"days": 7, "price": 2}]}', "no output 'cost'; it answers days, price"),
        (KSERVE, '{"predictions": [[1, 2, 3]]}', "no output 'cost'; it answers 0, 1, 2"),
        (KSERVE, '{"predictions": [{"cost": null}]}', "the output 'cost' is None, and no number"),
        (KSERVE, '{"predictions": [{"cost": true}]}', "the output 'cost' is True, and no number"),
        (KSERVE, '{"predictions": [{"cost": "much"}]}', "the output 'cost' is 'much', and no number"),
        (KSERVE, '{"predictions": [{"cost": [1, 2]}]}', r"the output 'cost' is \[1, 2\], and no number"),
        (SAGEMAKER, "inf,nan", "no output 'cost'; it answers 0, 1"),
        (answering("$"), json.dumps({f"o{i}": i for i in range(14)}), "o10, o11 and 2 more"),
    ],
)
def test_an_output_that_is_not_there_is_no_answer(codec, body, says):
    with pytest.raises(ValueError, match=says):
        codec.with_outputs(("cost",), nobody).read(body.encode())


def test_the_report_of_an_error_is_told_as_one():
    with pytest.raises(NoAnswer, match="overloaded"):
        KSERVE.with_outputs(("cost",), nobody).read(b'{"predictions": [{"error": "overloaded"}]}')


def told(**outputs):
    return json.dumps({"outputs": [{"name": name, "data": data} for name, data in outputs.items()]}).encode()


def oip(names, *outputs, kind=OpenInference):
    codec = kind("m", "x", "FP64")
    return codec.with_outputs(names, lambda _: {"outputs": [{"name": n, "shape": s} for n, s in outputs]})


def test_the_open_inference_protocol_asks_for_the_prediction_and_for_what_is_named():
    offered = [("predict", [-1]), ("low", [-1]), ("high", [-1]), ("days", [-1])]
    codec = oip(("high", "low"), *offered)
    wanted = [{"name": "predict"}, {"name": "high"}, {"name": "low"}]
    assert json.loads(codec.encode([1.0]))["outputs"] == wanted
    # in any order; the prediction stays the first output that the metadata names
    assert codec.read(told(low=[1.0], high=[3.0], predict=[2.0])) == ("2", (3.0, 1.0))
    assert codec_from(codec.words) == codec
    assert oip(("predict",), *offered).read(told(predict=[2.0])) == ("2", (2.0,))


def test_an_element_of_the_first_tensor_is_an_output_by_its_place():
    # an ONNX file of two targets on Triton; the first named one is then the answer
    codec = oip(("1", "0"), ("variable", [-1, 2]))
    assert json.loads(codec.encode([1.0]))["outputs"] == [{"name": "variable"}]
    assert codec.read(told(variable=[2.5, 7.0])) == ("7", (7.0, 2.5))
    # of one alone it is the same
    assert oip(("0",), ("variable", [-1, 1])).read(told(variable=[2.5])) == ("2.5", (2.5,))
    # of unknown width, and of a server whose metadata names no outputs: the first answer shows it
    assert oip(("1",), ("variable", [-1, -1])).read(told(variable=[2.5, 7.0])) == ("7", (7.0,))
    unsaid = OpenInference("m", "x", "FP64").with_outputs(("low",), lambda _: {"inputs": []})
    assert unsaid.read(told(predict=[2.0], low=[1.0])) == ("2", (1.0,))


@pytest.mark.parametrize("kind", [OpenInference, OpenInferenceGrpc])
def test_an_output_that_the_metadata_does_not_name_is_refused_with_those_it_does(kind):
    with pytest.raises(
        ExperimentError, match=r"model 'm' answers no output 'cost'; name one of predict, low$"
    ):
        oip(("low", "cost"), ("predict", [-1]), ("low", [-1]), kind=kind)
    with pytest.raises(ExperimentError, match=r"no output '2'; name one of variable, 0, 1$"):
        oip(("2",), ("variable", [-1, 2]), kind=kind)
    with pytest.raises(
        ExperimentError, match=r"one of variable, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 99,989 more$"
    ):
        oip(("low",), ("variable", [-1, 100_000]), kind=kind)
    with pytest.raises(ExperimentError, match=r"no output '012'; name one of variable, 0, 1, 2"):
        oip(("012",), ("variable", [-1, 20]), kind=kind)


def test_axes_as_a_gateway_from_grpc_writes_them():
    assert oip(("1",), ("variable", ["-1", "2"])).read(told(variable=[2.5, 7.0])) == ("7", (7.0,))


@pytest.mark.parametrize(
    "metadata",
    [
        ["predict"],
        {"outputs": ["predict"]},
        {"outputs": [{"shape": [-1]}]},
        {"outputs": [{"name": "predict", "shape": ["rows"]}]},
        {"outputs": [{"name": "predict", "shape": 1}]},
    ],
)
def test_metadata_of_something_else(metadata):
    codec = OpenInference("m", "x", "FP64")
    for reading in (
        lambda: codec.with_outputs(("low",), lambda _: metadata),
        lambda: codec.ranked(lambda _: metadata),
        lambda: codec.scored(("a", "b"), named=False, ask=lambda _: metadata),
    ):
        with pytest.raises(TargetError, match="'m': its metadata is not that of the Open Inference Protocol"):
            reading()
