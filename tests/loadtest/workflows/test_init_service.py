"""``init --url`` against a double that speaks as FastAPI does: its document, 422 for what does not fit."""

import json
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from loadtest.errors import DatasetError, TargetError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.workflows.init_service import init_service
from loadtest.workflows.openapi_operation import ByHand

FIELDS = {
    "age": {"type": "integer"},
    "income": {"anyOf": [{"type": "number"}, {"type": "null"}]},
    "city": {"type": "string", "enum": ["Basel", "Bern"]},
}
DOCUMENT = {
    "paths": {
        "/score": {
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {"type": "object", "properties": FIELDS, "required": ["age", "city"]}
                        }
                    }
                }
            }
        }
    }
}


@pytest.fixture
def service():
    """Says yes to who is over 40, beside other values; ``answer`` changes what it says."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._say(self.server.status if self.path == "/openapi.json" else 404, self.server.document)

        def do_POST(self):
            row = json.loads(self.rfile.read(int(self.headers["content-length"])))
            fits = isinstance(row["age"], int) and row["city"] in ("Basel", "Bern")
            if self.headers["x-key"] != self.server.key:
                self._say(401, {"detail": "no key"})
            else:
                self._say(
                    200 if fits else 422, self.server.answer(row) if fits else {"detail": "does not fit"}
                )

        def _say(self, status, answer):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.document, server.status, server.key = DOCUMENT, 200, None
        server.answer = lambda row: {
            "model": "v1",
            "result": {"class label": "yes" if row["age"] > 40 else "no", "score": row["age"] / 3},
        }
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def rows(tmp_path, label=lambda age: "yes" if age > 40 else "no", city="Bern"):
    path = tmp_path / "rows.csv"
    lines = [f"{age},{'' if age % 7 else age * 10},{city},{label(age)}\n" for age in range(30, 55)]
    path.write_text("age,income,city,bought\n" + "".join(lines))
    return path


def test_an_experiment_is_written_that_needs_no_more(service, tmp_path):
    said = []
    out = init_service([service.url], rows(tmp_path), said.append, label="bought", out=tmp_path / "mine.toml")
    written = tomllib.loads(out.read_text())
    assert written["target"] == {
        "protocol": "template",
        "stable": service.url,
        "candidate": service.url,
        "path": "/score",
        "body": '{"age": {{ row.age }}, "income": {{ row.income }}, "city": {{ row.city }}}',
        "answer": "$.result['class label']",
    }
    experiment = Experiment.load_file(str(out))
    assert experiment.data.features == ("age", "income", "city")
    assert "is right on 100.0% of 25 rows" in "\n".join(said)
    with pytest.raises(UsageError, match="exists already"):
        init_service([service.url], rows(tmp_path), said.append, label="bought", out=out)


def test_rows_that_are_sorted_by_label_are_told_apart(service, tmp_path):
    # as scikit-learn's iris is, beside a value that is the first label in every answer
    right = service.answer
    service.answer = lambda row: {"error": "no"} | right(row)
    data = tmp_path / "rows.csv"
    data.write_text("age,income,city,bought\n" + "30,1,Bern,no\n" * 100 + "50,1,Bern,yes\n" * 50)
    out = init_service([service.url], data, [].append, label="bought", out=tmp_path / "mine.toml")
    assert tomllib.loads(out.read_text())["target"]["answer"] == "$.result['class label']"


def test_a_column_called_label_needs_no_naming(service, tmp_path):
    data = rows(tmp_path)
    data.write_text(data.read_text().replace("bought", "label"))
    out = init_service([service.url], data, [].append, out=tmp_path / "mine.toml")
    assert tomllib.loads(out.read_text())["data"]["label"] == "label"


def test_a_regression_takes_the_number_that_is_nearest(service, tmp_path):
    data = rows(tmp_path, label=lambda age: age / 3 + 0.01)
    out = init_service([service.url] * 2, data, lambda _: None, label="bought", out=tmp_path / "r.toml")
    written = tomllib.loads(out.read_text())
    assert (written["target"]["answer"], written["data"]["task"]) == ("$.result.score", "regression")


def test_what_the_service_would_refuse_is_refused_first(service, tmp_path):
    with pytest.raises(DatasetError, match="'city' reads 'Chur', the service takes Basel, Bern"):
        init_service(
            [service.url], rows(tmp_path, city="Chur"), print, label="bought", out=tmp_path / "o.toml"
        )
    data = tmp_path / "gaps.csv"
    data.write_text("age,city,bought\n30,Bern,no\n41,,yes\n")
    with pytest.raises(DatasetError, match="'city' has 1 gap, and the service takes no null there"):
        init_service([service.url], data, print, label="bought", out=tmp_path / "o.toml")


def test_without_labels_nobody_knows_which_value_is_the_prediction(service, tmp_path):
    data = tmp_path / "e.csv"
    data.write_text("age,income,city\n30,1,Basel\n50,2,Bern\n")
    with pytest.raises(DatasetError, match="Name their column with --label"):
        init_service([service.url], data, [].append, out=tmp_path / "e.toml")
    assert not (tmp_path / "e.toml").exists()


def test_scores_beside_the_label_are_named(service, tmp_path):
    service.answer = lambda row: {
        "y": "yes" if row["age"] > 40 else "no",
        "p": [1 - row["age"] / 81, row["age"] / 81],
    }
    said = []
    out = init_service([service.url], rows(tmp_path), said.append, label="bought", out=tmp_path / "s.toml")
    experiment = Experiment.load_file(str(out))
    assert (experiment.target.answer, experiment.target.scores) == ("$.y", "$.p")
    assert experiment.data.classes == ("no", "yes")
    assert any("scores stand at $.p, of no, yes; gate them" in line for line in said)


def test_a_bare_score_gets_a_threshold(service, tmp_path):
    service.answer = lambda row: {"churn": row["age"] / 81}
    out = init_service([service.url], rows(tmp_path), [].append, label="bought", out=tmp_path / "b.toml")
    experiment = Experiment.load_file(str(out))
    assert (experiment.target.answer, experiment.data.threshold) == ("$.churn", 0.5)
    assert experiment.data.classes == ("no", "yes")


def test_whole_numbers_that_nobody_answers_are_a_regression(service, tmp_path):
    service.answer = lambda row: {"price": row["age"] * 1000.5, "income": 1}
    data = rows(tmp_path, label=lambda age: age * 1000)
    out = init_service([service.url], data, [].append, label="bought", out=tmp_path / "w.toml")
    written = tomllib.loads(out.read_text())
    assert (written["target"]["answer"], written["data"]["task"]) == ("$.price", "regression")


def test_whole_numbers_that_an_answer_equals_by_chance_are_a_regression(service, tmp_path):
    # one other output is one label, once
    service.answer = lambda row: {
        "q05": 36000 if row["age"] == 36 else row["age"],
        "q50": row["age"] * 1000.5,
    }
    data = rows(tmp_path, label=lambda age: age * 1000)
    out = init_service([service.url], data, [].append, label="bought", out=tmp_path / "c.toml")
    written = tomllib.loads(out.read_text())
    assert (written["target"]["answer"], written["data"]["task"]) == ("$.q50", "regression")


def test_whole_numbers_that_are_classes_stay_so(service, tmp_path):
    service.answer = lambda row: {"shelf": row["age"] if row["age"] % 2 else 30, "x": 1}
    out = init_service(
        [service.url],
        rows(tmp_path, label=lambda age: age),
        [].append,
        label="bought",
        out=tmp_path / "d.toml",
    )
    written = tomllib.loads(out.read_text())
    assert (written["target"]["answer"], written["data"].get("task")) == ("$.shelf", None)


def test_further_outputs_that_are_columns(service, tmp_path):
    service.answer = lambda row: {"out": {"price": row["age"] / 3, "days": row["age"] * 2}}
    data = tmp_path / "o.csv"
    data.write_text("age,city,bought,days\n" + "".join(f"{a},Bern,{a / 3 + 0.1},{a * 2}\n" for a in range(9)))
    out = init_service([service.url], data, [].append, label="bought", out=tmp_path / "o.toml")
    experiment = Experiment.load_file(str(out))
    assert experiment.target.answer == "$.out"
    assert experiment.data.outputs == {"price": "bought", "days": "days"}


def test_a_service_without_a_document_is_asked_as_a_person_says(service, tmp_path):
    service.status = 404
    out = tmp_path / "p.toml"
    with pytest.raises(TargetError, match="say what is sent with --path and --body"):
        init_service([service.url], rows(tmp_path), [].append, label="bought", path="/score", out=out)
    body = '{"age": {{ row.age }}, "city": "{{ row.city }}"}'
    init_service(
        *([service.url], rows(tmp_path), [].append),
        label="bought",
        path="/score",
        by_hand=ByHand(body),
        out=out,
    )
    experiment = Experiment.load_file(str(out))
    assert (experiment.target.body, experiment.target.path) == (body, "/score")
    assert experiment.data.features == ("age", "city")
    assert experiment.target.encoding is None


@pytest.mark.parametrize(
    ("by_hand", "message"),
    [
        (ByHand('{"age": {{ row.years }}}'), r"--body: no column 'years' can be sent \(age, income, city\)"),
        (ByHand('{"age": {{ row.age }}'), "body is not JSON once it is filled in"),
        (ByHand("{{ row }}", encoding="xml"), "--encoding: .*'json', 'form', 'multipart' or 'query'"),
        (ByHand("{{ row }}", method="PUT"), "--method: .*'POST' or 'GET'"),
        (ByHand("{{ row }}", method="GET"), "a GET has no body"),
    ],
)
def test_what_a_person_says_wrongly(service, tmp_path, by_hand, message):
    with pytest.raises(UsageError, match=message):
        init_service(
            *([service.url], rows(tmp_path), [].append),
            label="bought",
            path="/score",
            by_hand=by_hand,
            out=tmp_path / "w.toml",
        )


def test_a_regression_that_answers_in_text(service, tmp_path):
    service.answer = lambda row: {"note": "NaN", "price": f"{row['age'] / 3:.2f}"}
    data = rows(tmp_path, label=lambda age: age / 3 + 0.01)
    out = init_service([service.url], data, [].append, label="bought", out=tmp_path / "t.toml")
    assert tomllib.loads(out.read_text())["target"]["answer"] == "$.price"


def test_a_header_that_the_document_requires(service, tmp_path):
    post = DOCUMENT["paths"]["/score"]["post"]
    key = {"in": "header", "name": "X-Key", "required": True}
    service.document = {"paths": {"/score": {"post": {**post, "parameters": [key]}}}}
    with pytest.raises(
        UsageError, match="/score: the service requires the header X-Key; give it as --header"
    ):
        init_service([service.url], rows(tmp_path), [].append, label="bought", out=tmp_path / "h.toml")


def test_a_key_in_a_header(service, tmp_path, monkeypatch):
    service.key = "sesame"
    out = tmp_path / "k.toml"
    with pytest.raises(TargetError, match=r"HTTP 401 to row 0: .*--header 'Name: env:VARIABLE'"):
        init_service([service.url], rows(tmp_path), [].append, label="bought", out=out)
    monkeypatch.setenv("SHOP_KEY", "sesame")
    headers = ["x-key: env:SHOP_KEY"]
    init_service([service.url], rows(tmp_path), [].append, label="bought", headers=headers, out=out)
    assert tomllib.loads(out.read_text())["target"]["headers"] == headers
    with pytest.raises(UsageError, match="--header: the header x-key looks like a secret"):
        init_service(
            [service.url],
            rows(tmp_path),
            [].append,
            label="bought",
            headers=["x-key: sesame"],
            out=tmp_path / "n.toml",
        )


def test_a_document_behind_a_key(service, tmp_path):
    service.status = 401
    with pytest.raises(
        TargetError, match=r"openapi\.json \(HTTP 401\), .*--header 'Name: env:VARIABLE'; if it"
    ):
        init_service([service.url], rows(tmp_path), [].append, label="bought", out=tmp_path / "k.toml")


def test_labels_that_no_answer_equals(service, tmp_path):
    data = rows(tmp_path, label=lambda age: "1" if age > 40 else "0")
    with pytest.raises(DatasetError, match=r"answers \$\.model is 'v1'.*the labels read '0'"):
        init_service([service.url], data, print, label="bought", out=tmp_path / "o.toml")


@pytest.mark.parametrize(
    ("document", "error", "message"),
    [
        (None, TargetError, r'422 to row 0: .*does not fit.*; it was sent \{"age": .*say so with --body'),
        # nothing says what it takes, so it gets every column
        (
            {"paths": {"/score": {"post": {}}}},
            TargetError,
            "422 to row 0: .*; leave out columns .* with --ignore, or say what it takes with --body",
        ),
        ({"paths": {}}, UsageError, "no POST takes JSON"),
    ],
)
def test_a_service_that_does_not_fit(service, tmp_path, document, error, message):
    service.document = document or service.document
    # it says that it takes a fraction, or nothing, and refuses it
    data = tmp_path / "rows.csv"
    data.write_text("age,city,bought\n30.5,Bern,no\n41.5,Bern,yes\n")
    with pytest.raises(error, match=message):
        init_service([service.url], data, print, label="bought", out=tmp_path / "o.toml")
    assert not (tmp_path / "o.toml").exists()


def test_no_service(tmp_path):
    with pytest.raises(TargetError, match="nothing answers there over plain HTTP"):
        init_service(["http://127.0.0.1:1"], rows(tmp_path), print, label="bought", out=tmp_path / "o.toml")
