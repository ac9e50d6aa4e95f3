import json
import socket
import threading
from contextlib import nullcontext
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, ExperimentError, TargetError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.load.protocols.kserve_v1 import KServeV1
from loadtest.load.protocols.oip import OpenInference
from loadtest.load.sending.connection import LARGEST
from loadtest.load.sending.target import ask_target, base_url

EXPERIMENT = Experiment.parse(
    {"name": "e", "model": {"name": "m", "folder": "m"}, "data": {"path": "e.csv"}}, "test"
)
DATASET = Dataset(Path("e.csv"), np.array([[1.0]]), ("a",), np.array(["1"]), None, pa.table({"a": [1.0]}))
METADATA = {"inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 1]}]}


@pytest.fixture
def server():
    """Answers with what the test puts into ``answers``, by version."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = self.server.answers[self.headers["x-model-version"]]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            size = int(self.headers["content-length"])
            self.server.asked.append((self.path, self.headers["x-team"], self.rfile.read(size)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.server.predicts)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        good = (200, json.dumps(METADATA).encode())
        server.answers = {"stable": good, "candidate": good}
        server.asked, server.predicts = [], b""
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        # a file, or a stream, that would fill the memory
        ((200, b"[" * (LARGEST + 1)), "more than 16 MiB"),
        # what a terminal would obey: a title, a colour, a carriage return
        ((500, b"\x1b]0;owned\x07\x1b[31mred\rgone\x9b2J"), r"HTTP 500 \(\]0;owned  \[31mred gone.2J\)"),
    ],
)
def test_an_answer_is_bounded_and_cannot_steer_a_terminal(server, answer, reason):
    server.answers["candidate"] = answer
    with pytest.raises(TargetError, match=reason) as error:
        ask_target(EXPERIMENT, server.url, DATASET)
    assert str(error.value).isprintable()


def test_an_answer_that_drips_is_given_up():
    """Each byte comes in time, and the last one never."""
    given_up = threading.Event()

    def drip(listener):
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n[")
            while not given_up.wait(0.1):
                connection.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        dripping = threading.Thread(target=drip, args=(listener,))
        dripping.start()
        try:
            with pytest.raises(TargetError, match="gave no answer within 5 s"):
                ask_target(EXPERIMENT, f"http://127.0.0.1:{listener.getsockname()[1]}", DATASET)
        finally:
            given_up.set()
            dripping.join(60)


def test_both_versions_are_asked(server):
    server.answers["candidate"] = (200, json.dumps(METADATA).replace("FP64", "FP32").encode())
    codecs = ask_target(EXPERIMENT, server.url, DATASET)
    assert codecs == {"stable": OpenInference("m", "x", "FP64"), "candidate": OpenInference("m", "x", "FP32")}


def test_a_column_that_would_not_arrive_as_it_is_names_the_role(server):
    server.answers["candidate"] = (200, json.dumps(METADATA).replace("FP64", "INT64").encode())
    halves = replace(DATASET, columns=pa.table({"a": [4.5]}))
    with pytest.raises(DatasetError, match=r"^candidate: e.csv: column 'a' reads 4.5, which INT64 would cut"):
        ask_target(EXPERIMENT, server.url, halves)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (404, b'{"error": "no such model"}', "candidate answered HTTP 404 .*no such model"),
        (503, b"", "HTTP 503"),
        (200, b"hello", "does not speak the protocol oip"),
        (200, b"{}", "not that of the Open Inference Protocol"),
    ],
)
def test_what_is_no_target(server, status, body, message):
    server.answers["candidate"] = (status, body)
    with pytest.raises(TargetError, match=message):
        ask_target(EXPERIMENT, server.url, DATASET)


@pytest.mark.parametrize(
    ("gates", "data", "says"),
    [
        (
            ["log_loss <= 0.5"],
            {},
            r"gate 'log_loss <= 0.5', candidate: .*gives no scores.*; gate accuracy instead",
        ),
        # of these there may be no labels
        (["score_shift[0.9] <= 0.1"], {}, r"gate 'score_shift.*; gate agreement >= 99% instead"),
        (["agreement[scores=0.1] >= 99%"], {}, r"gate 'agreement.*; gate agreement >= 99% instead"),
        (["accuracy >= 50%"], {"threshold": 0.4}, r"\[data\] threshold = 0.4, candidate: .*; leave it out"),
    ],
)
def test_a_version_without_scores_is_named_with_what_to_gate_instead(server, gates, data, says):
    several = {**METADATA, "outputs": [{"name": "predict"}, {"name": "predict_proba"}]}
    server.answers = {
        "stable": (200, json.dumps(several).encode()),
        "candidate": (200, json.dumps({**several, "outputs": several["outputs"][:1]}).encode()),
    }
    experiment = Experiment.parse(
        {
            "name": "e",
            "model": {"name": "m", "folder": "m"},
            "data": {"path": "e.csv", **data},
            "gates": gates,
        },
        "test",
    )
    with pytest.raises(ExperimentError, match=says + "$"):
        ask_target(experiment, server.url, replace(DATASET, labels=np.array(["0", "1"])))


def at_urls(server, protocol, **keys):
    target = {
        "stable": server.url,
        "candidate": server.url,
        "protocol": protocol,
        "headers": ["X-Team: shop"],
        **keys,
    }
    raw = EXPERIMENT.model_dump() | {"target": target, "gates": ["p99 <= 1s"]}
    return Experiment.parse(raw, "test")


def test_servers_without_metadata_answer_one_row(server):
    server.predicts = b'{"predictions": [1]}'
    codecs = ask_target(at_urls(server, "kserve-v1"), "", DATASET)
    assert codecs == dict.fromkeys(("stable", "candidate"), KServeV1("m"))
    assert server.asked == [("/v1/models/m:predict", "shop", b'{"instances":[[1.0]]}')] * 2


SEVERAL = Dataset(
    Path("e.csv"), np.ones((3, 1)), ("a",), np.array(["1"] * 3), None, pa.table({"a": [1.0] * 3})
)


@pytest.mark.parametrize(
    ("rows", "said", "error", "says"),
    [
        (1, [1], None, ""),
        # a server that reads the first row alone
        (2, [1], TargetError, "stable answers one row, and not 2 at once .1 answers where 2 are expected"),
        (3, [1], ExperimentError, "up to 3, and the evaluation set has 3 rows"),
    ],
)
def test_servers_must_answer_as_many_rows_as_a_request_has(server, rows, said, error, says):
    server.predicts = json.dumps({"predictions": said}).encode()
    experiment = at_urls(server, "kserve-v1")
    load = experiment.load.model_copy(update={"rows_per_request": ((rows, 1.0),)})
    experiment = experiment.model_copy(update={"load": load})
    with pytest.raises(error, match=says) if error else nullcontext():
        ask_target(experiment, "", SEVERAL)
    asked = [b'{"instances":[[1.0]]}', b'{"instances":[[1.0],[1.0]]}'][: 2 if rows == 2 else 1]
    assert [body for _, _, body in server.asked][: len(asked)] == asked


@pytest.mark.parametrize(
    ("protocol", "error", "says"),
    [
        # as many as there are, which a log may send at once, and this server does not answer
        ({"protocol": "kserve-v1"}, TargetError, "not 3 at once .*; set .load. split_rows = true"),
        (
            {"protocol": "template", "path": "/p", "body": "{{ row }}", "answer": "$.predictions[0]"},
            ExperimentError,
            "the log has requests of up to 3 rows: .*write {{ rows }} .*; or set .load. split_rows",
        ),
    ],
)
def test_a_log_of_requests_that_a_server_does_not_take_may_be_split(server, protocol, error, says):
    server.predicts = b'{"predictions": [1]}'
    experiment = at_urls(server, **protocol)
    load = experiment.load.model_copy(update={"rows_per_request": ((3, 1.0),), "replay": Path("log")})
    with pytest.raises(error, match=says):
        ask_target(experiment.model_copy(update={"load": load}), "", SEVERAL)


def test_servers_of_another_protocol(server):
    server.predicts = b'{"outputs": []}'
    with pytest.raises(
        TargetError, match=r"does not answer in the protocol mlflow .*name another --protocol"
    ):
        ask_target(at_urls(server, "mlflow"), "", DATASET)


def test_servers_without_an_input_in_their_metadata_take_what_comes(server):
    server.answers[None] = (200, b'{"name": "m", "inputs": []}')
    server.predicts = b'{"outputs": [{"data": [1]}]}'
    codecs = ask_target(at_urls(server, "oip"), "", DATASET)
    assert codecs == dict.fromkeys(("stable", "candidate"), OpenInference("m", "input-0", "FP64"))


def test_a_protocol_that_is_none_names_those_that_are(server):
    with pytest.raises(ExperimentError, match="no protocol 'soap'; there are kserve-v1, mlflow, oip, "):
        ask_target(at_urls(server, "soap"), "", DATASET)
    assert not server.asked


def test_nothing_there(server):
    server.server_close()
    with pytest.raises(TargetError, match="nothing answers there; start the lab or the server first"):
        ask_target(EXPERIMENT, "http://127.0.0.1:1", DATASET)


@pytest.mark.parametrize(
    "host", ["", "127.0.0.1:8080", "ftp://x", "http://", "http://x:99999", "http://x/?a=1"]
)
def test_what_is_no_url(host):
    with pytest.raises(UsageError, match="not the URL of a target"):
        base_url(host)


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://example.com/models/", "https://example.com/models"),
    ],
)
def test_base_urls(host, base):
    assert base_url(host) == base
