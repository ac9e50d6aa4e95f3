import json

import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, ExperimentError, TargetError
from loadtest.experiment.experiment import Data
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
        (
            metadata(parameters={"columns": ["b", "c"]}),
            ExperimentError,
            r"takes c, .* would not send \(a, b\)",
        ),
        (
            metadata(inputs=2),
            TargetError,
            r"input 'x' has the shape \[-1, 2\]; one matrix of all features, or",
        ),
        (metadata(datatype="BYTES"), TargetError, "input 'x' has the shape"),
        (metadata(datatype="TEXT"), TargetError, "datatype TEXT, which is unknown"),
        (
            metadata(shape=[-1], inputs=2),
            ExperimentError,
            "takes x, x, which the evaluation set would not send",
        ),
        ({"inputs": []}, TargetError, "names no input"),
        ({"inputs": "x"}, TargetError, "metadata is not"),
        ({}, TargetError, "metadata is not"),
        ([], TargetError, "metadata is not"),
    ],
)
def test_metadata_that_does_not_fit(said, error, message):
    with pytest.raises(error, match=message):
        OpenInference.from_metadata("m", said, ["a", "b"])


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (["b", "a"], (1, 0)),  # in another order
        (["b"], (1,)),  # a version need not take all
    ],
)
def test_a_matrix_is_by_the_names_of_its_features(names, places):
    said = metadata(shape=(-1, len(names)), parameters={"columns": names})
    codec = OpenInference.from_metadata("m", said, ["a", "b"])
    assert codec == OpenInference("m", "x", "FP64", places)
    data = json.loads(codec.encode([7.0, 8.0]))["inputs"][0]
    assert (data["shape"], data["data"]) == ([1, len(names)], [[7.0, 8.0][place] for place in places])


DATATYPES = {"city": "BYTES", "age": "FP64", "visits": "INT64", "member": "BOOL"}
BY_COLUMN = {"inputs": [{"name": n, "datatype": d, "shape": [-1]} for n, d in DATATYPES.items()]}


@pytest.mark.parametrize("shape", [[-1], [-1, 1], [-1, -1]])
def test_metadata_of_columns(shape):
    said = {"inputs": [tensor | {"shape": shape} for tensor in BY_COLUMN["inputs"]]}
    codec = OpenInference.from_metadata("m", said, ["age", "id", "member", "city", "visits"])
    deep = () if shape == [-1] else (1,)
    assert codec == OpenInference("m", tuple(DATATYPES), tuple(DATATYPES.values()), (3, 0, 4, 2), deep)
    sent = json.loads(codec.encode([1.5, "x", True, "Basel", 2]))["inputs"]
    # a server that lists an axis of its own wants it
    assert [tensor["shape"] for tensor in sent] == [[1, *deep]] * 4


@pytest.mark.parametrize(
    ("cells", "data"),
    [
        (["Köln", 1, 2, True], ["Köln", 1.0, 2, True]),
        ([None, None, None, None], [None] * 4),
        # a column of the file that is all numbers is a float of a matrix
        (["", 1.5, 2.0, 0.0], ["", 1.5, 2, False]),
        (["a", -0.5, 2**60, False], ["a", -0.5, 2**60, False]),
    ],
)
def test_a_row_is_a_tensor_per_column(cells, data):
    codec = OpenInference.from_metadata("m", BY_COLUMN, list(DATATYPES))
    sent = json.loads(codec.encode(cells))
    assert sent["parameters"] == {"content_type": "pd"}
    assert [tensor["name"] for tensor in sent["inputs"]] == list(DATATYPES)
    assert [(tensor["datatype"], tensor["shape"]) for tensor in sent["inputs"]] == [
        (datatype, [1]) for datatype in DATATYPES.values()
    ]
    got = [tensor["data"][0] for tensor in sent["inputs"]]
    assert (got, list(map(type, got))) == (data, list(map(type, data)))


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (BY_COLUMN, None),
        (metadata(shape=(-1, 4)), r"column 'city' has 1 gap, the model takes none; fill .* \(model 'm'\)"),
        (
            {"inputs": [{"name": "city", "datatype": "FP64", "shape": [-1]}]},
            "'city' holds text, such as 'Köln'",
        ),
    ],
)
def test_every_row_is_checked(tmp_path, said, says):
    (tmp_path / "rows.csv").write_text("city,age,visits,member,label\nKöln,1,2,true,a\n,,3,,b\n")
    dataset = Dataset.read(Data(path=tmp_path / "rows.csv", features=tuple(DATATYPES)))
    codec = OpenInference.from_metadata("m", said, dataset.names)
    if says is None:
        codec.check(dataset)
    else:
        with pytest.raises(DatasetError, match=says):
            codec.check(dataset)


def test_a_row_is_one_tensor():
    row = [1.5, 2.0]
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1.5, 2.0]}
    assert json.loads(OpenInference("m", "x", "FP64").encode(row)) == {"inputs": [tensor]}
    body = b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP64","data":[1.5,2.0]}]}'
    assert OpenInference("m", "x", "FP64").encode(row) == body
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
