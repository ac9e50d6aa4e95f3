import json
import re
from email import message_from_bytes
from email.policy import HTTP
from pathlib import Path

import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, ExperimentError
from loadtest.experiment.experiment import Data, Target
from loadtest.load.protocols import PROTOCOLS
from loadtest.load.protocols.class_scores import ClassScores
from loadtest.load.protocols.ranked_items import NoAnswer
from loadtest.load.protocols.template import Template

COLUMNS = ("age", "home city", "income", "member")
ROW = [17, 'K\u00f6ln "Süd"', None, True]
CELLS = '17,"Köln \\"Süd\\"",null,true'
AS_OBJECT = '{"age":17,"home city":"Köln \\"Süd\\"","income":null,"member":true}'


def target(**keys):
    given = {"path": "/score", "body": "{{ row }}", "answer": "$.label", **keys}
    return Target(stable="http://a", candidate="http://b", protocol="template", **given)


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ("{{ row }}", AS_OBJECT),
        ('{"customer": {{ row }}, "k": 10}', f'{{"customer": {AS_OBJECT}, "k": 10}}'),
        # no blanks are needed
        ('{"x":[{{cells}}]}', f'{{"x":[[{CELLS}]]}}'),
        # single cells: three ways to name one; numbers in their own type, a gap as null, text with its quotes
        ('[{{ row.age }}, {{ row["age"] }}, {{ column("age") }}]', "[17, 17, 17]"),
        ("{\"c\": {{ column('home city') }}}", '{"c": "Köln \\"Süd\\""}'),
        ('{"i": {{ row.income }}, "m": {{ row.member }}}', '{"i": null, "m": true}'),
        # as a part of a text, between others and beside an escaped quote
        ('{"id": "c-{{ row.age }}\\"{{ column("home city") }}"}', '{"id": "c-17\\"Köln \\"Süd\\""}'),
        # all of a text, whose quotes go where there is nothing in them
        ('{"i": "{{ row.income }}", "a": "{{row.age}}"}', '{"i": null, "a": "17"}'),
        ('["{{ column("home city") }}"]', '["Köln \\"Süd\\""]'),
        # a key is a text, too
        ('{"{{ row.age }}" : "{{ row.age }}{{ row.age }}"}', '{"17" : "1717"}'),
        # braces that are the JSON's own
        ('{"a": {"b": {"c": {{ row.age }}}}}', '{"a": {"b": {"c": 17}}}'),
    ],
)
def test_a_template_is_filled(body, sent):
    codec = Template.for_target(target(body=body), "m", COLUMNS, lambda path: None)
    filled = codec.encode(ROW)
    assert filled.decode() == sent
    json.loads(filled)


@pytest.mark.parametrize(
    ("body", "encoding", "sent"),
    [
        # a gap is no field; numbers and truth values as JSON has them
        ("{{ row }}", "form", "age=17&home+city=K%C3%B6ln+%22S%C3%BCd%22&member=true"),
        ('{"a b": {{ row.age }}, "k": 1.50, "n": null}', "query", "a+b=17&k=1.5"),
        # a list is one field several times
        ('{"x": {{ cells }}}', "query", "x=17&x=K%C3%B6ln+%22S%C3%BCd%22&x=true"),
    ],
)
def test_a_template_as_the_fields_of_a_form(body, encoding, sent):
    codec = Template.for_target(target(body=body, encoding=encoding), "m", COLUMNS, lambda path: None)
    assert codec.encode(ROW).decode() == sent
    assert codec.in_query == (encoding == "query")
    # a worker makes an equal one
    words = codec.words
    assert PROTOCOLS[words.pop("protocol")](**words) == codec


def test_a_form_in_parts_is_read_by_the_standard_library():
    body = '{"home \\"city\\"": {{ column("home city") }}, "age": {{ row.age }}, "income": {{ row.income }}}'
    codec = Template.for_target(target(body=body, encoding="multipart"), "m", COLUMNS, lambda path: None)
    head = f"MIME-Version: 1.0\r\nContent-Type: {codec.content_type}\r\n\r\n".encode()
    parts = message_from_bytes(head + codec.encode(ROW), policy=HTTP).get_payload()
    assert [part.get_param("name", header="content-disposition") for part in parts] == [
        "home %22city%22",
        "age",
    ]
    assert [part.get_payload(decode=True).decode().strip() for part in parts] == [
        'K\u00f6ln "S\u00fcd"',
        "17",
    ]


def test_a_get_says_so():
    codec = Template.for_target(target(encoding="query", method="GET"), "m", COLUMNS, lambda path: None)
    assert (codec.method, codec.content_type, codec.in_query) == ("GET", "", True)


PAGE = Path("docs/any-server.md").read_text()
FORMS = re.findall(r"^\| [^|]+ \| `(/[^`]*)` \| `([^`]*)` \| `(\$[^`]*)` \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("path", "body", "answer"), FORMS)
def test_the_forms_on_the_page_are_templates(path, body, answer):
    codec = Template.for_target(target(path=path, body=body, answer=answer), "m", COLUMNS, lambda _: None)
    assert "Süd" in json.dumps(json.loads(codec.encode(ROW)), ensure_ascii=False)


def test_the_page_has_forms():
    assert len(FORMS) == 5


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"body": None}, r"\[target\] body is missing"),
        ({"path": "score"}, "path 'score': begins with /"),
        ({"path": "/a b"}, "neither blanks"),
        ({"body": '{"k": 10}'}, "no {{ row }}"),
        ({"body": '{"k": {{ lines }}}'}, "{{ lines }} is not known; there are"),
        ({"body": '{"k": {{ row.}} }'}, "{{ row. }} is not known"),
        ({"body": '{"k": "{{ row }}"}'}, "stands inside quotes"),
        ({"body": '{"k": {{ row }}'}, r"not JSON once it is filled in: .*near '\{\"k\": 0' \(line 1\)"),
        ({"body": '{"k": {{ row }}}}'}, "not JSON once it is filled in: Extra data"),
        ({"body": "{{ row.salary }}"}, r"no column 'salary' is sent \(age, home city, income, member\)"),
        ({"answer": "label"}, "'label' is not a JSONPath of RFC 9535"),
        ({"answer": ""}, "'' is not a JSONPath"),
        ({"answer": "$.a["}, "is not a JSONPath"),
        ({"scores": "p"}, r"\[target\] scores 'p' is not a JSONPath"),
        ({"body": "[{{ row }}]", "encoding": "form"}, "takes an object with its fields, such as {{ row }}"),
        ({"body": '{"a": {{ row }}}', "encoding": "query"}, "'a' is no single value"),
        ({"body": '{"a": {{ rows }}}', "encoding": "multipart"}, "'a' is no single value"),
        ({"method": "GET"}, 'a GET has no body; write encoding = "query"'),
        ({"method": "GET", "encoding": "form"}, "a GET has no body"),
    ],
)
def test_what_is_no_template(keys, message):
    with pytest.raises(ExperimentError, match=message) as error:
        Template.for_target(target(**keys), "m", COLUMNS, lambda path: None)
    assert "\n" not in str(error.value)


def test_other_protocols_have_bodies_of_their_own():
    with pytest.raises(
        ExperimentError, match=r'body: the protocol mlflow has its own; .*protocol = "template"'
    ):
        PROTOCOLS["mlflow"].check_target(target(path=None, answer=None))


@pytest.mark.parametrize(
    ("answer", "body", "prediction"),
    [
        ("$", '"setosa"', "setosa"),
        ("$.label", '{"label": 7.0, "label_name": "x"}', "7"),
        ("$['class label']", '{"class label": true}', "true"),
        ("$.outputs[0].data[-1]", '{"outputs": [{"data": [1, 2]}]}', "2"),
        # what the library has to walk: a wildcard, a filter
        ("$.items[*].id", '{"items": [{"id": "a"}]}', "a"),
        ("$.items[?@.rank == 1].id", '{"items": [{"id": "b", "rank": 2}, {"id": "a", "rank": 1}]}', "a"),
        # a batch of one
        ("$.predictions", '{"predictions": [[0.5]]}', "0.5"),
    ],
)
def test_the_answer_is_what_the_path_selects(answer, body, prediction):
    assert Template(answer=answer).decode(body.encode()) == prediction


@pytest.mark.parametrize(
    ("answer", "body", "message"),
    [
        ("$.label", "{}", r"\$\.label selects nothing"),
        ("$.label", '["label"]', "selects nothing"),
        # a place in a text is no element
        ("$.label[0]", '{"label": "setosa"}', "selects nothing"),
        ("$.items[*].id", '{"items": [{"id": "a"}, {"id": "b"}]}', "selects 2 values where one"),
        ("$.scores", '{"scores": [0.1, 0.9]}', "selects 2 values"),
        ("$.scores", '{"scores": []}', "selects nothing"),
        ("$.result", '{"result": {"label": 1, "score": 0.5}}', r"selects an object \(label, score\)"),
        ("$.label", '{"label": null}', "."),
        ("$.label", "<html>", "."),
        # nested more deeply than the library descends
        ("$..label", "[" * 500 + "]" * 500, "recursion"),
    ],
)
def test_what_is_no_answer_to_one_row(answer, body, message):
    with pytest.raises(ValueError, match=message):
        Template(answer=answer).decode(body.encode())


@pytest.mark.parametrize(
    ("answer", "body"), [("$.label", '{"detail": "model not loaded"}'), ("$", '{"error": "full"}')]
)
def test_an_error_with_status_200_keeps_its_words(answer, body):
    with pytest.raises(NoAnswer, match=r"not loaded|full"):
        Template(answer=answer).decode(body.encode())


def test_a_gap_cannot_be_part_of_a_text(tmp_path):
    (tmp_path / "rows.csv").write_text("age,city,label\n1,Basel,a\n2,,b\n")
    dataset = Dataset.read(Data(path=tmp_path / "rows.csv", features=("age", "city")))
    for body in ('{"c": {{ row.city }}, "a": "n {{ row.age }}"}', '{"c": "{{ row.city }}"}'):
        Template(body=body, columns=dataset.names).check(dataset)
    for body in ('{"c": "in {{ row.city }}"}', '{"{{ row.city }}": 1}'):
        with pytest.raises(DatasetError, match=r"'city' has missing cells, .* quotes of its own"):
            Template(body=body, columns=dataset.names).check(dataset)


def scoring(answer, scores="", classes=("no", "yes"), **keys):
    reader = ClassScores.of(classes, named=True)
    return Template(answer=answer, scores_at=scores, scores=reader, **keys)


@pytest.mark.parametrize(
    ("answer", "scores", "body", "read"),
    [
        # beside the label: one per class, under their names, as scikit-learn nests them, the positive one's
        ("$.y", "$.p", '{"y": "yes", "p": [0.25, 0.75]}', ("yes", (0.25, 0.75))),
        ("$.y", "$.p", '{"y": "yes", "p": {"yes": 0.75, "no": 0.25}}', ("yes", (0.25, 0.75))),
        ("$.y[0]", "$.p", '{"y": ["yes"], "p": [[0.25, 0.75]]}', ("yes", (0.25, 0.75))),
        ("$.y", "$.p", '{"y": "no", "p": 0.75}', ("no", (0.75,))),
        # a whole number is a score where the path says so
        ("$.y", "$.p", '{"y": "yes", "p": 1}', ("yes", (1.0,))),
        # a list of names and scores
        (
            "$[0].l",
            "$[?@.l == 'yes'].s",
            '[{"l": "no", "s": 0.75}, {"l": "yes", "s": 0.25}]',
            ("no", (0.25,)),
        ),
        # both where the answer is
        ("$.r", "", '{"r": {"label": "no", "probability": 0.75}}', ("no", (0.75,))),
        ("$.p", "", '{"p": 0.75}', ("yes", (0.75,))),
    ],
)
def test_scores_stand_where_a_path_says(answer, scores, body, read):
    assert scoring(answer, scores).read(body.encode()) == read


@pytest.mark.parametrize(
    ("scores", "message"),
    [("$.q", r"\$\.q selects nothing"), ("$.r", "3 scores where 2"), ("$.y", "'yes' is no score")],
)
def test_what_is_no_score(scores, message):
    with pytest.raises(ValueError, match=message):
        scoring("$.y", scores).read(b'{"y": "yes", "r": [0.1, 0.2, 0.7]}')


@pytest.mark.parametrize(
    "body",
    ['{"y": ["no", "yes"], "p": [[0.75, 0.25], [0.25, 0.75]]}', '{"y": ["no", "yes"], "p": [0.25, 0.75]}'],
)
def test_scores_of_several_rows(body):
    read = scoring("$.y[*]", "$.p").read_rows(body.encode(), 2)
    assert [label for label, _ in read] == ["no", "yes"]
    assert [scores[-1] for _, scores in read] == [0.25, 0.75]
    with pytest.raises(ValueError, match="do not select one value per row each"):
        scoring("$.y[*]", "$.y[0]").read_rows(body.encode(), 2)
