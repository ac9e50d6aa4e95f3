"""``init --url`` of servers whose protocol is known, against a double that says what these say."""

import json
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from loadtest.errors import DatasetError, TargetError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.workflows.init_service import init_service

V2 = {"name": "mlserver", "version": "1.7.1", "extensions": []}
COLUMNS = [
    {"name": "city", "datatype": "BYTES", "shape": [-1, 1]},
    {"name": "age", "datatype": "INT64", "shape": [-1, 1]},
]


def is_old(sent):
    """Whose age is over 40, in whatever protocol it was sent."""
    if "dataframe_split" in sent:
        return sent["dataframe_split"]["data"][0][0] > 40
    if "instances" in sent:
        return sent["instances"][0][0] > 40
    tensors = {one["name"]: one["data"] for one in sent["inputs"]}
    return tensors.get("age", [0])[-1] > 40


def oip(sent):
    return {
        "outputs": [{"name": "y", "datatype": "BYTES", "shape": [1], "data": [("no", "yes")[is_old(sent)]]}]
    }


def v1(sent):
    return {"predictions": [("no", "yes")[is_old(sent)]]}


def score(sent):
    return {"predictions": [0.9 if is_old(sent) else 0.2]}


# what each server answers to a GET or POST of a path: a status, JSON or text, or a function of what was sent
OIP = {
    "GET /v2": V2,
    "GET /v2/models/shop": {"name": "shop", "inputs": COLUMNS},
    "POST /v2/models/shop/infer": oip,
}
MLSERVER = OIP | {"POST /v2/repository/index": [{"name": "shop", "state": "READY"}]}
KSERVE = {
    "GET /v2": V2,
    "GET /v2/models": {"models": ["shop"]},
    "GET /v1/models": {"models": ["shop"]},
    # as KServe's Python server says of every model; its infer is for matrices, its predict is one's own
    "GET /v2/models/shop": {"name": "shop", "inputs": [], "outputs": []},
    "POST /v1/models/shop:predict": v1,
}
TF_SERVING = {
    "GET /v1/models/shop": {"model_version_status": [{"version": "1", "state": "AVAILABLE"}]},
    "POST /v1/models/shop:predict": score,
}
MLFLOW = {
    "GET /ping": "\n",
    "GET /version": "3.17.2",
    "GET /invocations": 405,
    "GET /openapi.json": {"paths": {"/invocations": {"post": {}}}},
    "POST /invocations": v1,
}


@pytest.fixture
def server():
    """Answers as its ``says`` has it, with 404 to all else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._say("GET", None)

        def do_POST(self):
            self._say("POST", json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _say(self, method, sent):
            said = self.server.says.get(f"{method} {self.path}", 404)
            said = said(sent) if callable(said) else said
            self.send_response(said if isinstance(said, int) else 200)
            self.end_headers()
            if not isinstance(said, int):
                self.wfile.write((said if isinstance(said, str) else json.dumps(said)).encode())

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.url = f"http://127.0.0.1:{listening.server_port}"
        threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield listening
        listening.shutdown()


def rows(tmp_path):
    path = tmp_path / "rows.csv"
    lines = [f"{age},{('Bern', 'Chur')[age % 2]},{('no', 'yes')[age > 40]}\n" for age in range(30, 55)]
    path.write_text("age,city,label\n" + "".join(lines))
    return path


@pytest.mark.parametrize(
    ("says", "model", "target", "features"),
    [
        # a tensor per column, by name: the columns in the model's order
        (MLSERVER, None, {"protocol": "oip", "stable_model": "shop"}, ("city", "age")),
        # a server that does not list its models, as Triton where that is restricted
        (OIP, "shop", {"protocol": "oip", "stable_model": "shop"}, ("city", "age")),
        # of two protocols the one in which the model answers
        (KSERVE, None, {"protocol": "kserve-v1", "stable_model": "shop"}, ("age", "city")),
        # it lists nothing: known by the model that is named
        (TF_SERVING, "shop", {"protocol": "tfserving", "stable_model": "shop"}, ("age", "city")),
        # before its OpenAPI document, which does not say what it takes
        (MLFLOW, None, {"protocol": "mlflow"}, ("age", "city")),
    ],
)
def test_the_protocol_is_found(server, tmp_path, says, model, target, features):
    server.says = says
    said = []
    out = init_service([server.url], rows(tmp_path), said.append, model=model, out=tmp_path / "mine.toml")
    written = tomllib.loads(out.read_text())
    assert target.items() <= written["target"].items()
    assert Experiment.load_file(str(out)).data.features == features
    # a score is a label by its threshold
    assert written["data"].get("threshold") == (0.5 if says is TF_SERVING else None)
    assert (f"right on 100.0% of 25 rows in {target['protocol']}" in said[-2]) is (says is not TF_SERVING)


def test_scores_alone_are_those_of_the_classes_in_their_order(server, tmp_path):
    # as TensorFlow Serving answers with a softmax
    server.says = TF_SERVING | {
        "POST /v1/models/shop:predict": lambda sent: {
            "predictions": [[0.2, 0.8] if is_old(sent) else [0.7, 0.3]]
        }
    }
    said = []
    out = init_service([server.url], rows(tmp_path), said.append, model="shop", out=tmp_path / "mine.toml")
    experiment = Experiment.load_file(str(out))
    assert (experiment.data.classes, experiment.data.threshold) == (("no", "yes"), None)
    assert [str(gate) for gate in experiment.gates][-2:] == ["mismatches == 0", "roc_auc >= stable - 0.02"]
    assert "right on 100.0% of 25 rows in tfserving" in said[1]
    assert "scores alone, taken as those of no, yes in this order" in said[2]


TWO = MLSERVER | {"POST /v2/repository/index": [{"name": "a"}, {"name": "b"}]}


@pytest.mark.parametrize(
    ("says", "model", "kind", "match"),
    [
        (TWO, None, UsageError, r"has several models \(a, b\); name one with --model"),
        (OIP, None, UsageError, "does not list its models; name the one to ask with --model"),
        (TWO, "c", TargetError, "/v2/models/c what the model takes; is its name right"),
        # the reason in each protocol that was tried
        (
            KSERVE | {"POST /v1/models/shop:predict": lambda _: {"predictions": [[0.1, 0.3, 0.6]]}},
            None,
            TargetError,
            "in oip: .*; in kserve-v1: .*nor the scores of no, yes .3 scores where 2 are expected",
        ),
        (
            MLSERVER | {"POST /v2/models/shop/infer": lambda _: {"outputs": [{"name": "y", "data": [3]}]}},
            None,
            DatasetError,
            "the service answers .* is '3', the labels read 'no'",
        ),
        # a service of one's own has no name for its model
        (MLFLOW | {"GET /ping": 404}, "shop", UsageError, "--model shop: .* leave it out"),
        (MLFLOW, "shop", UsageError, "--model shop: .* leave it out"),
    ],
)
def test_what_is_not_clear_is_asked(server, tmp_path, says, model, kind, match):
    server.says = says
    with pytest.raises(kind, match=match):
        init_service([server.url], rows(tmp_path), [].append, model=model, out=tmp_path / "mine.toml")
    assert not (tmp_path / "mine.toml").exists()
