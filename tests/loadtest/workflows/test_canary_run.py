"""A whole canary, as far as it goes without a lab."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import ExperimentError, GateError, LabError
from loadtest.experiment.experiment import Experiment
from loadtest.lab.interface import Endpoints
from loadtest.workflows.canary_run import run_canary
from loadtest.workflows.prepare import Ready
from tests.loadtest.workflows.test_canary_auto import Store

NOWHERE = "http://127.0.0.1:1"


class Lab:
    """Runs, and its load ends at once; ``check`` raises ``said``."""

    backend = "local"
    launched = False

    def __init__(self, said=None, servers=NOWHERE):
        self.said, self.canary = said, Store()
        self.endpoints = Endpoints(NOWHERE, servers, servers)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stopped = True

    def launch_load(self, job):
        self.launched = True
        return Load()

    def check(self):
        if self.said:
            raise self.said


class Load:
    def lines(self):
        return iter(["a line that is no progress", '{"elapsed": -3.0}'])

    def stop(self):
        pass

    def wait(self):
        return 2


@pytest.fixture
def ready(tmp_path):
    data = tmp_path / "rows.csv"
    data.write_text("a,label\n1,0\n2,1\n")

    def of(lab, gates=(), **more):
        given = {"data": {"path": str(data), "label": "label", "value": "a", "features": ["a"]}}
        experiment = Experiment.load_file("canary", given | more, gates)
        return Ready(experiment, Dataset.read(experiment.data), (), lambda versions: lab)

    return of


@pytest.mark.parametrize(
    ("said", "kind", "says"),
    [
        # it read the experiment and refused it: its own line, and exit code 2
        (ExperimentError("the rows are gone"), ExperimentError, "the rows are gone"),
        # it says nothing
        (None, LabError, "the load did not start"),
    ],
)
def test_of_a_load_that_does_not_start_its_own_line_is_shown_and_everything_is_stopped(
    tmp_path, ready, said, kind, says
):
    lab = Lab(said)
    with pytest.raises(kind, match=f"^{says}$"):
        run_canary(ready(lab), tmp_path / "results", [], print)
    assert lab.stopped


def test_a_version_without_what_a_gate_compares_in_the_shadow_is_refused_before_the_load(tmp_path, ready):
    class Server(BaseHTTPRequestHandler):
        def do_GET(self):
            page = {"ring": "one", "now": 1.0, "first": 0, "next": 0, "more": False, "records": []}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(page | {"lacks": ["scores"]}).encode())

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,)).start()
        lab = Lab(servers=f"http://127.0.0.1:{http.server_port}")
        gates = ["agreement[scores=0.01] >= 99%", "error_rate <= stable + 1pp"]
        try:
            with pytest.raises(GateError, match=r"^stable v1 \(.*\) gives no scores"):
                run_canary(ready(lab, gates, canary={"shadow": "5s"}), tmp_path / "results", [], print)
        finally:
            http.shutdown()
    assert not lab.launched
    assert lab.stopped
