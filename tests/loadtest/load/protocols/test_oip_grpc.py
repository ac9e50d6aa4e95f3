"""What goes over the wire is held against the classes that protobuf generates from the public definition."""

import json
import struct
from math import isnan

import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict
from tritonclient.grpc import service_pb2 as generated

from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, ExperimentError
from loadtest.experiment.experiment import Data
from loadtest.experiment.target import Target
from loadtest.load.protocols import oip_messages
from loadtest.load.protocols.class_scores import ClassScores
from loadtest.load.protocols.oip import OpenInference
from loadtest.load.protocols.oip_grpc import OpenInferenceGrpc

FIELDS = {
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BOOL": "bool_contents",
    "BYTES": "bytes_contents",
}
CELLS = [
    ("FP64", [0.1, -1e300]),
    ("FP32", [0.5, -2.0]),
    ("INT64", [-(2**63), 2**63 - 1]),
    ("INT32", [-1, 300]),
    ("UINT64", [0, 2**64 - 1]),
    ("UINT8", [0, 255]),
    ("BOOL", [True, False]),
    ("BYTES", ["Köln", ""]),
]


def response(datatype, data, *, raw, name="predict"):
    """What a server answers, written by the generated classes."""
    message = generated.ModelInferResponse(model_name="m", model_version="1", id="7")
    message.parameters["x"].bool_param = True
    tensor = message.outputs.add(name=name, datatype=datatype, shape=[len(data)])
    if not raw:
        cells = [cell.encode() for cell in data] if datatype == "BYTES" else data
        getattr(tensor.contents, FIELDS[datatype]).extend(cells)
    elif datatype == "BYTES":
        texts = [cell.encode() for cell in data]
        message.raw_output_contents.append(b"".join(struct.pack("<I", len(t)) + t for t in texts))
    else:
        dtype = {"BOOL": "?", "FP64": "<f8", "FP32": "<f4"}.get(
            datatype, f"<{datatype.lower().replace('int', 'i')}"
        )
        sizes = {"INT64": "<i8", "INT32": "<i4", "UINT64": "<u8", "UINT8": "<u1"}
        message.raw_output_contents.append(np.array(data, sizes.get(datatype, dtype)).tobytes())
    return message.SerializeToString()


@pytest.mark.parametrize(("datatype", "data"), CELLS)
@pytest.mark.parametrize("raw", [False, True])
def test_outputs_of_every_datatype(datatype, data, raw):
    (output,) = oip_messages.infer_outputs(response(datatype, data, raw=raw))
    assert output == {"name": "predict", "datatype": datatype, "shape": [2], "data": data}


@pytest.mark.parametrize(("datatype", "data"), CELLS)
def test_inputs_of_every_datatype(datatype, data):
    tensor = {"name": "x", "datatype": datatype, "shape": [2], "data": data, "parameters": {"a": "b"}}
    more = {"parameters": {"content_type": "pd"}, "outputs": [{"name": "predict"}]}
    sent = generated.ModelInferRequest.FromString(oip_messages.infer_request("m", [tensor], more))
    (made,) = sent.inputs
    (content,) = [list(value) for _, value in made.contents.ListFields()]
    assert [getattr(cell, "decode", lambda cell=cell: cell)() for cell in content] == data
    assert (sent.model_name, made.name, made.datatype, list(made.shape)) == ("m", "x", datatype, [2])
    assert (made.parameters["a"].string_param, sent.parameters["content_type"].string_param) == ("b", "pd")
    assert [output.name for output in sent.outputs] == ["predict"]


def test_half_precision_makes_all_contents_raw():
    tensors = [
        {"name": "x", "datatype": "FP16", "shape": [1, 2], "data": [0.5, 2.0]},
        {"name": "city", "datatype": "BYTES", "shape": [1], "data": ["Köln"]},
    ]
    sent = generated.ModelInferRequest.FromString(oip_messages.infer_request("m", tensors, {}))
    assert np.frombuffer(sent.raw_input_contents[0], "<f2").tolist() == [0.5, 2.0]
    assert sent.raw_input_contents[1] == b"\x05\0\0\0K\xc3\xb6ln"
    assert not any(tensor.contents.ByteSize() for tensor in sent.inputs)


def test_the_same_tensors_as_with_rest():
    columns = ("city", "age", "visits", "member")
    datatypes = ("BYTES", "FP64", "INT64", "BOOL")
    row = ["Köln", 17.5, 3, True]
    scores = ClassScores.of(("a", "b"), named=True, outputs=("predict", "predict_proba"))
    rest = OpenInference("shop", columns, datatypes, scores=scores)
    grpc = OpenInferenceGrpc("shop", columns, datatypes, scores=scores)
    said, sent = json.loads(rest.encode(row)), generated.ModelInferRequest.FromString(grpc.encode(row))
    assert [tensor["name"] for tensor in said["inputs"]] == [tensor.name for tensor in sent.inputs]
    assert [tensor["shape"] for tensor in said["inputs"]] == [list(tensor.shape) for tensor in sent.inputs]
    assert said["outputs"] == [MessageToDict(output) for output in sent.outputs]
    assert sent.parameters["content_type"].string_param == said["parameters"]["content_type"]


def test_an_image_keeps_its_shape():
    said = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 1, 8, 8]}]}
    codec = OpenInferenceGrpc.from_metadata("digits", said, [f"p{i}" for i in range(64)])
    sent = generated.ModelInferRequest.FromString(codec.encode([1.0] * 64))
    assert list(sent.inputs[0].shape) == [1, 1, 8, 8]
    assert list(sent.inputs[0].contents.fp32_contents) == [1.0] * 64


def test_what_a_model_says_of_itself():
    message = generated.ModelMetadataResponse(name="m", versions=["1"], platform="onnx")
    message.inputs.add(name="x", datatype="FP32", shape=[-1, 4])
    message.outputs.add(name="y", datatype="INT64", shape=[-1])
    assert oip_messages.metadata(message.SerializeToString()) == {
        "name": "m",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "datatype": "INT64", "shape": [-1]}],
    }
    asked = generated.ModelMetadataRequest.FromString(oip_messages.metadata_request("m"))
    assert (asked.name, asked.version) == ("m", "")


def test_answers():
    codec = OpenInferenceGrpc("m", "x", "FP64")
    assert codec.read(response("INT64", [7], raw=False)) == ("7", None)
    assert codec.read(response("BYTES", ["setosa"], raw=True)) == ("setosa", None)
    scored = OpenInferenceGrpc(
        "m", "x", "FP64", scores=ClassScores.of(("a", "b"), named=True, outputs=("p",))
    )
    assert scored.read(response("FP64", [0.25, 0.75], raw=True, name="p")) == ("b", (0.25, 0.75))
    ranked = OpenInferenceGrpc("m", "x", "FP64", ranking="")
    assert ranked.read(response("INT64", [3, 1], raw=False))[0] == '["3","1"]'


WHOLE = response("FP64", [0.5], raw=False)


@pytest.mark.parametrize(
    "body",
    [
        # nothing, no output, two elements where one is expected
        b"",
        generated.ModelInferResponse(model_name="m").SerializeToString(),
        response("INT64", [1, 2], raw=False),
        # it breaks off anywhere
        *(WHOLE[:end] for end in (1, 5, len(WHOLE) - 1)),
        # no protobuf: text, a wire type that is none, a number without an end, a number for a message
        b"internal server error",
        b"\x0f",
        b"\x2a" + b"\xff" * 11,
        b"\x28\x01",
        # text that is not UTF-8, and raw text that breaks off
        response("BYTES", ["abc"], raw=False).replace(b"abc", b"\xff\xfe\xfd"),
        response("BYTES", ["abc"], raw=True)[:-1].replace(b"\x32\x07", b"\x32\x06"),
        # raw contents for an output that is not there
        generated.ModelInferResponse(raw_output_contents=[b"12345678"]).SerializeToString(),
    ],
)
def test_what_is_no_answer(body):
    with pytest.raises(ValueError):
        OpenInferenceGrpc("m", "x", "FP64").decode(body)


@pytest.fixture
def gaps(tmp_path):
    (tmp_path / "rows.csv").write_text("city,age,label\nKöln,17.5,a\n,,b\n")
    return Dataset.read(Data(path=tmp_path / "rows.csv", features=("city", "age")))


def test_a_missing_number_is_nan_and_missing_text_cannot_be_said(gaps):
    codec = OpenInferenceGrpc("m", ("age",), ("FP64",), (1,))
    codec.check(gaps)
    sent = generated.ModelInferRequest.FromString(codec.body_of(gaps, 1))
    assert isnan(sent.inputs[0].contents.fp64_contents[0])
    with pytest.raises(DatasetError, match="'city' has 1 gap, and gRPC has no missing BYTES"):
        OpenInferenceGrpc("m", ("city", "age"), ("BYTES", "FP64")).check(gaps)
    # REST can
    OpenInference("m", ("city", "age"), ("BYTES", "FP64")).check(gaps)


def test_a_url_has_no_path():
    here = "http://127.0.0.1:8081"
    OpenInferenceGrpc.check_target(Target(stable=here, candidate=here + "/"))
    with pytest.raises(ExperimentError, match="/v1: gRPC has no path of its own choice"):
        OpenInferenceGrpc.check_target(Target(stable=here, candidate=here + "/v1"))
