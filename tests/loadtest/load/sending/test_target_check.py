import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import TargetError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.load.protocols import OpenInference, Predict
from loadtest.load.sending.target_check import ask, base_url

EXPERIMENT = Experiment.parse(
    {"name": "e", "model": {"name": "m", "folder": "m"}, "data": {"path": "e.csv"}}, "test"
)
DATASET = Dataset(Path("e.csv"), np.array([[1.0]]), ("a",), np.array(["1"]), None, pa.table({}))
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


def test_both_versions_are_asked(server):
    server.answers["candidate"] = (200, json.dumps(METADATA).replace("FP64", "FP32").encode())
    codecs = ask(EXPERIMENT, server.url, DATASET)
    assert codecs == {"stable": OpenInference("m", "x", "FP64"), "candidate": OpenInference("m", "x", "FP32")}


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (404, b'{"error": "no such model"}', "candidate answered HTTP 404 .*no such model"),
        (503, b"", "HTTP 503"),
        (200, b"hello", "does not speak the Open Inference Protocol"),
        (200, b"{}", "not that of the Open Inference Protocol"),
    ],
)
def test_what_is_no_target(server, status, body, message):
    server.answers["candidate"] = (status, body)
    with pytest.raises(TargetError, match=message):
        ask(EXPERIMENT, server.url, DATASET)


def at_urls(server, protocol):
    target = {
        "stable": server.url,
        "candidate": server.url,
        "protocol": protocol,
        "headers": ["X-Team: shop"],
    }
    raw = EXPERIMENT.model_dump() | {"target": target, "gates": ["p99 <= 1s"]}
    return Experiment.parse(raw, "test")


def test_servers_without_metadata_answer_one_row(server):
    server.predicts = b'{"predictions": [1]}'
    codecs = ask(at_urls(server, "kserve-v1"), "", DATASET)
    assert codecs == dict.fromkeys(("stable", "candidate"), Predict("kserve-v1", "m"))
    assert server.asked == [("/v1/models/m:predict", "shop", b'{"instances":[[1.0]]}')] * 2


def test_servers_of_another_protocol(server):
    server.predicts = b'{"outputs": []}'
    with pytest.raises(
        TargetError, match=r"does not answer in the protocol mlflow .*name another --protocol"
    ):
        ask(at_urls(server, "mlflow"), "", DATASET)


def test_nothing_there(server):
    server.server_close()
    with pytest.raises(TargetError, match="nothing answers there; start the lab first"):
        ask(EXPERIMENT, "http://127.0.0.1:1", DATASET)


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
