import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from loadtest.errors import LabError
from loadtest.experiment.experiment import Fault
from loadtest.lab.services.server_faults import ServerFaults


class Version(BaseHTTPRequestHandler):
    """Takes faults, or answers with another status."""

    status = 200
    seen = ()

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        type(self).seen = (*self.seen, (self.path, json.loads(body)))
        self.send_response(self.status)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"no")

    def log_message(self, *args):
        pass


@pytest.fixture
def version():
    handler = type("Handler", (Version,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        handler.url = f"http://127.0.0.1:{server.server_port}"
        yield handler
        server.shutdown()


def test_faults_add_up_until_they_are_healed(version):
    faults = ServerFaults(lambda role: version.url)
    faults.inject("candidate", Fault(kind="slowed", delay="250ms"))
    faults.inject("candidate", Fault(kind="wrong", share=0.05))
    faults.heal("candidate")
    # nothing is asked of a version that has none
    faults.heal("candidate")
    faults.heal("stable")
    slowed = {"kind": "slowed", "share": 1.0, "delay": 0.25}
    assert version.seen == (
        ("/faults", [slowed]),
        ("/faults", [slowed, {"kind": "wrong", "share": 0.05, "delay": 0.0}]),
        ("/faults", []),
    )


@pytest.mark.parametrize(
    ("status", "message"),
    [
        # a server that was not started for it, and every server of somebody else's
        (404, "candidate takes no faults; start its model server with ALLOW_FAULTS naming the model"),
        (501, "candidate takes no faults"),
        (400, "candidate refused the fault: no"),
    ],
)
def test_a_server_that_refuses_is_named(version, status, message):
    version.status = status
    with pytest.raises(LabError, match=message):
        ServerFaults(lambda role: version.url).inject("candidate", Fault(kind="failing"))


def test_a_server_that_does_not_answer_is_named():
    with pytest.raises(LabError, match="candidate does not answer; no fault could be injected"):
        ServerFaults(lambda role: "http://127.0.0.1:9").inject("candidate", Fault(kind="failing"))
