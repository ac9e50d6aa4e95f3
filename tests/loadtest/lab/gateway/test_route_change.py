import json
import threading
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from loadtest.errors import LabError
from loadtest.lab.gateway.route_change import confirm_routes
from loadtest.lab.gateway.routes import Routes


def test_a_gateway_that_does_not_answer_is_named():
    with pytest.raises(
        LabError, match=r"did not take over a split of 10% within 0\.05 s; it answers nothing"
    ):
        confirm_routes("http://127.0.0.1:9", Routes(10), within=0.05)


@pytest.mark.parametrize(
    ("in_force", "written", "confirmed"),
    [
        (Routes(10, serial=3), Routes(10, serial=3), True),
        # somebody has changed it again
        (Routes(0, serial=4), Routes(10, serial=3), True),
        # the same split, but not yet this change
        (Routes(10, serial=2), Routes(10, serial=3), False),
        # without a state there is nothing to be later than
        (Routes(0, serial=4), Routes(10), False),
        # another server has taken the gateway's port: what it says is no state of ours
        (None, Routes(10, serial=3), False),
    ],
)
def test_routes_are_confirmed_when_they_or_later_ones_are_in_force(in_force, written, confirmed):
    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(in_force.state()).encode() if in_force else b"<html>hello</html>"
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            with nullcontext() if confirmed else pytest.raises(LabError, match="did not take over"):
                confirm_routes(f"http://127.0.0.1:{server.server_port}", written, within=0.05)
        finally:
            server.shutdown()
