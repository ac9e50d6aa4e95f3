"""Pages of arms are read once each, across steps and restarts; what is no such page is 'not told'."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from loadtest.experiment.role import Role
from loadtest.lab.services.arm_pages import Server


@pytest.fixture
def told():
    class Told(BaseHTTPRequestHandler):
        """Serves ``users`` of ``step``, two per page; ``body`` instead where it is set."""

        ring, step, users, body, asked = "one", 3, [], None, []

        def do_GET(self):
            (after,) = parse_qs(urlsplit(self.path).query)["after"]
            Told.asked.append(int(after))
            begin = min(int(after), len(Told.users))
            found = Told.users[begin : begin + 2]
            end = begin + len(found)
            page = {"ring": Told.ring, "step": Told.step, "next": end, "more": end < len(Told.users)}
            page |= {"full": False, "requests": {"stable": len(Told.users), "candidate": 0}}
            page |= {"squares": page["requests"]}
            body = json.dumps(page | {"units": [[name, 0, 1] for name in found]}).encode()
            body = body if Told.body is None else Told.body
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Told) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,)).start()
        Told.url = f"http://127.0.0.1:{http.server_port}"
        yield Told
        http.shutdown()


def names(page):
    return [unit.name for unit in page.units]


def test_every_page_is_read_and_nothing_twice(told):
    server = Server(told.url, 5.0)
    told.users = [1, 2, 3, 4, 5]
    page = server.read()
    assert (names(page), page.step, page.requests[Role.STABLE]) == ([1, 2, 3, 4, 5], 3, 5)
    told.users = [*told.users, 6]
    assert names(server.read()) == [6]
    assert names(server.read()) == []


@pytest.mark.parametrize("change", [{"ring": "two"}, {"step": 4}])
def test_a_restart_and_a_step_begin_anew(told, change):
    server = Server(told.url, 5.0)
    told.users = [1, 2, 3]
    server.read()
    for name, value in change.items():
        setattr(told, name, value)
    told.users = [7, 8, 9, 10]
    assert names(server.read()) == [7, 8, 9, 10]


def page_with(old, new):
    """A page of a server that was told to lie, or to hold its reader up."""
    page = {"ring": "a", "step": 3, "next": 0, "more": False, "full": False, "units": []}
    page |= {"requests": {"stable": 0, "candidate": 1}, "squares": {"stable": 0, "candidate": 1}}
    return json.dumps(page).replace(old, new).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"no JSON",
        b"{}",
        b"[]",
        b'{"step": 1, "units": [[1, 2]]}',
        b"[" * 100_000,
        # numbers that a float does not hold, or that are none
        page_with('"step": 3', '"step": Infinity'),
        page_with('"next": 0', '"next": 1e999'),
        page_with('"candidate": 1', '"candidate": ' + "9" * 400),
        page_with('"candidate": 1', '"candidate": -1'),
        page_with('"candidate": 1', '"candidate": "1"'),
    ],
)
def test_what_is_no_page_is_not_told(told, body):
    told.body = body
    assert Server(told.url, 5.0).read() is None


def test_a_server_that_does_not_answer_is_not_told():
    assert Server("http://127.0.0.1:9", 0.5).read() is None
