"""What a version's server has to say of its model is shown before the load, whatever server it is."""

import threading
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer
from json import dumps
from types import SimpleNamespace

import pytest

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Data
from loadtest.experiment.role import ROLES
from loadtest.experiment.target import Target
from loadtest.lab.interface import Endpoints
from loadtest.workflows.deployment import notes_of, opened


@pytest.mark.parametrize(
    ("metadata", "notes"),
    [
        (dumps({"name": "m", "parameters": {"notes": ["saved by x 1"]}}), ["saved by x 1"]),
        # a server of somebody else's
        (dumps({"name": "m", "parameters": {"notes": "no list"}}), []),
        (dumps({"name": "m"}), []),
        ("[1]", []),
        ("<html>", []),
        (None, []),
        # no more, no longer, and in one line
        (dumps({"parameters": {"notes": ["a\nb", "x" * 900, *range(9)]}}), ["a b", "x" * 500, *"0123456"]),
    ],
    ids=["ours", "text", "none", "list", "html", "silent", "much"],
)  # fmt: skip
def test_notes_of(metadata, notes):
    assert notes_of(metadata) == notes


@pytest.mark.parametrize(
    ("candidate", "models", "lines"),
    [
        ("http://a:2", {}, 1),
        ("http://a:1", {}, 2),
        # two models of one server
        ("http://a:1", {"stable_model": "v1", "candidate_model": "v2"}, 1),
    ],
)
def test_a_server_that_is_compared_with_itself_is_shown(candidate, models, lines):
    said: list[str] = []
    endpoints = Endpoints("http://a:0", "http://a:1", candidate)
    target = Target(stable="http://a:1", candidate=candidate, **models)
    experiment = SimpleNamespace(target=target, roles=ROLES)
    ready = SimpleNamespace(
        experiment=experiment,
        versions=None,
        open_lab=lambda _: nullcontext(SimpleNamespace(endpoints=endpoints)),
    )
    with opened(ready, SimpleNamespace(step=said.append)):
        assert len(said) == lines
    assert ("compared with itself" in "".join(said)) == (lines == 2)


CATEGORIES = {"columns": ["city", "age"], "known": [[0, ["Basel"]]], "unknown": "missing"}


@pytest.mark.parametrize(
    ("categories", "lines"),
    [
        (dumps(CATEGORIES), ["knows no category 'Zug' of 'city', in 1 of 2 rows: it takes such a cell for"]),
        # a matrix without names is the columns that are sent, in their order
        (dumps({**CATEGORIES, "columns": None}).replace("[[0", "[[1"), ["knows no category 'Zug'"]),
        # its file does not say; an image's own server
        ("null", []),
        ("<html>", []),
    ],
)  # fmt: skip
def test_categories_that_a_version_does_not_know_are_shown(tmp_path, categories, lines):
    class Server(BaseHTTPRequestHandler):
        def do_GET(self):
            text = categories if self.path == "/categories" else dumps({"parameters": {"notes": ["a note"]}})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    said: list[str] = []
    (tmp_path / "rows.csv").write_text("age,city,label\n1,Basel,a\n2,Zug,a\n")
    dataset = Dataset.read(Data(path=tmp_path / "rows.csv", features=("age", "city")))
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        url = f"http://127.0.0.1:{server.server_port}"
        lab = SimpleNamespace(endpoints=Endpoints(url, url, url), backend="local")
        experiment = SimpleNamespace(target=None, model=SimpleNamespace(name="m"))
        ready = SimpleNamespace(
            experiment=experiment, dataset=dataset, versions=None, open_lab=lambda _: nullcontext(lab)
        )
        with opened(ready, SimpleNamespace(step=said.append)):
            server.shutdown()
    of_stable = [line.removeprefix("stable: ") for line in said if line.startswith("stable: ")]
    assert of_stable[0] == "a note"
    assert len(of_stable[1:]) == len(lines)
    assert all(found.startswith(line) for found, line in zip(of_stable[1:], lines, strict=True))
    assert [line.replace("candidate", "stable") for line in said if "candidate" in line] == said[
        1 : len(of_stable) + 1
    ]
