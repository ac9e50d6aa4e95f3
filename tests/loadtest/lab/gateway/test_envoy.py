import json
import re
import threading
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from loadtest.errors import LabError
from loadtest.lab.gateway.envoy import GATEWAY_FOLDER, confirm_routes, find_envoy, render, write_routes
from loadtest.lab.gateway.routes import Routes


def test_the_entrypoint_fills_every_placeholder_of_the_template():
    wanted = set(re.findall(r"\$\{([A-Z_]+)\}", (GATEWAY_FOLDER / "envoy.yaml").read_text()))
    filled = set(re.findall(r"s\|\\\$\{([A-Z_]+)\}\|\$\1\|g", (GATEWAY_FOLDER / "entrypoint.sh").read_text()))
    assert filled == wanted


def test_render_fills_every_placeholder_and_misses_none():
    assert (
        render("${LISTEN_ADDRESS}:${LISTEN_PORT}", {"LISTEN_ADDRESS": "::1", "LISTEN_PORT": 80}) == "::1:80"
    )
    with pytest.raises(KeyError, match="LISTEN_PORT"):
        render("${LISTEN_PORT}", {})


def test_a_reader_never_sees_half_a_routes_file(tmp_path):
    write_routes(tmp_path, Routes(0))
    done = threading.Event()
    seen = set()

    def read():
        while not done.is_set():
            document = json.loads((tmp_path / "routes.json").read_text())
            (config,) = document["resources"]
            split = config["virtual_hosts"][0]["routes"][-3]["route"]["weighted_clusters"]
            seen.add(split["clusters"][0]["weight"])

    reader = threading.Thread(target=read)
    reader.start()
    for step in range(300):
        write_routes(tmp_path, Routes(step % 101))
    done.set()
    reader.join()
    assert seen <= {percent * 100 for percent in range(101)}
    assert [path.name for path in tmp_path.iterdir()] == ["routes.json"]


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
    ],
)
def test_routes_are_confirmed_when_they_or_later_ones_are_in_force(in_force, written, confirmed):
    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(in_force.state()).encode()
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


def test_envoy_is_found():
    assert find_envoy().name == "envoy"
