"""Which columns go to which version, and the first cell that would not arrive."""

from pathlib import Path

import pytest

from contract.model_toml import Columns, Input
from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, ModelError
from loadtest.experiment.experiment import Data
from loadtest.workflows.columns_sent import check_input, columns_of, output_lines, read_for, sent_lines

ROWS = "city,age,visits,id,day,label\nKöln,1.5,2,16777217,2024-01-01,a\n,,3,16777218,2024-01-02,b\n"
CITY = Columns((("city", "BYTES"), ("visits", "INT64")))
ANY = Input("x", "FP64", (-1, 3))


def matrix(*names, datatype="FP64"):
    return Input("x", datatype, (-1, len(names)), names)


@pytest.fixture
def data(tmp_path):
    (tmp_path / "rows.csv").write_text(ROWS)
    return Data(path=tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("inputs", "features", "named", "sent"),
    [
        # who names nothing gets what is numeric
        ([ANY, ANY], (), (), ("age", "visits", "id")),
        ([CITY, ANY], (), (), ("age", "visits", "id")),
        ([], (), (), ("age", "visits", "id")),
        # the models name what is sent anyway
        ([matrix("id", "age", "visits")] * 2, (), (), ("age", "visits", "id")),
        # or text, and the candidate one more
        ([CITY, CITY], (), ("city", "visits"), ("city", "visits")),
        ([CITY, matrix("age")], (), ("city", "visits", "age"), ("city", "visits", "age")),
        # the experiment has the last word
        ([CITY, CITY], ("age", "visits"), ("age", "visits"), ("age", "visits")),
    ],
)
def test_what_is_read(data, inputs, features, named, sent):
    found, dataset = read_for(data.model_copy(update={"features": features}), inputs)
    assert (found.features, dataset.names) == (named, sent)


def test_a_doubled_column_that_no_model_takes_does_not_matter(tmp_path):
    (tmp_path / "rows.csv").write_text("id,id,city,visits,label\n1,2,Bonn,3,a\n")
    data = Data(path=tmp_path / "rows.csv")
    assert read_for(data, [CITY, CITY])[1].names == ("city", "visits")
    with pytest.raises(DatasetError, match="'id' stands there 2 times"):
        read_for(data, [ANY, ANY])


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        (CITY, None, None),
        (matrix("visits", "id"), None, None),
        (Columns((("age", "FP64"), ("id", "INT64"), ("city", "BYTES"))), None, None),
        (ANY, ModelError, r"m.toml: .* takes 3 features, .* would send 4 \(city, age, visits, id\)"),
        (matrix("height"), ModelError, r"m.toml: .* takes height, which .* would not send \(city, age"),
        (matrix("age"), DatasetError, r"'age' has 1 gap, the model takes none; fill .* \(m.toml\)"),
        (matrix("city"), DatasetError, "'city' has 1 gap"),
        (
            matrix("id", datatype="FP32"),
            DatasetError,
            "'id' holds whole numbers beyond 2\\^24, such as 16777218",
        ),
        (Columns((("age", "INT64"),)), DatasetError, "'age' reads 1.5, which INT64 would cut to 1"),
        (
            Columns((("city", "BOOL"),)),
            DatasetError,
            "'city' holds text, such as 'Köln', the model takes BOOL",
        ),
        (Columns((("visits", "BYTES"),)), DatasetError, "'visits' holds integers, such as 2, .* takes text"),
    ],
)
def test_what_a_version_takes_is_held_against_every_row(data, given, error, says):
    features = ("city", "age", "visits", "id")
    dataset = Dataset.read(data.model_copy(update={"features": features}))
    if error is None:
        check_input(Path("m.toml"), given, dataset)
    else:
        with pytest.raises(error, match=says) as caught:
            check_input(Path("m.toml"), given, dataset)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sent", "lines"),
    [
        ({"v1": "ab"}, ["sent to v1: a, b"]),
        ({"stable": "ab", "candidate": "ba"}, ["sent to both versions: a, b"]),
        ({"v1": "a", "v2": "a", "v3": "a"}, ["sent to all versions: a"]),
        (
            {"stable": "a", "candidate": "ba"},
            ["sent to stable: a; not b, which it does not take", "sent to candidate: b, a"],
        ),
        ({"v1": "abcdefghijklmn"}, ["sent to v1: a, b, c, d, e, f, g, h and 6 more"]),
    ],
)
def test_what_is_shown_before_the_load(sent, lines):
    assert sent_lines(sent, ("a", "b")) == lines


@pytest.mark.parametrize(
    ("outputs", "lines"),
    [
        # one value per row is nothing to choose from
        ({"stable": "", "candidate": ""}, []),
        ({}, []),
        (
            {"stable": "price", "candidate": "price"},
            ["the gates are about the output 'price' of both versions"],
        ),
        (
            {"stable": "", "candidate": "price"},
            ["the gates are about the only output of stable and the output 'price' of candidate"],
        ),
    ],
)
def test_which_output_is_compared_is_shown(outputs, lines):
    assert output_lines(outputs, {}) == lines
    several = {"price": "sold", "low": "sold"}
    compared = "outputs compared with their true values: price with sold, low with sold"
    assert output_lines(outputs, several) == [*lines, compared]


def test_who_does_not_say_what_it_takes_is_sent_all(data):
    dataset = Dataset.read(data.model_copy(update={"features": ("city", "visits", "age")}))
    assert columns_of(CITY, dataset) == ("city", "visits")
    assert columns_of(None, dataset) == columns_of(ANY, dataset) == ("city", "visits", "age")
    assert dataset.notes == ("not sent: id (not among the features), day (not among the features)",)
