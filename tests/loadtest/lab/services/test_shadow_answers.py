"""Answers are read from a server page by page, once each, and across its restarts."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from loadtest.canary.shadow_join import Join
from loadtest.errors import GateError, LabError
from loadtest.experiment.role import Role
from loadtest.lab.services.shadow_answers import AnswersReader


def record(name, mark="original"):
    return {"at": 100.0, "id": name, "mark": mark, "status": 200, "seconds": 0.01, "labels": ["a"]}


class Kept(Join):
    """A join that only remembers what it was given."""

    def __init__(self):
        super().__init__()
        self.names, self.skipped = [], []

    def add(self, records, now, role):
        self.names += [r["id"] for r in records]

    def skip(self, before, role):
        self.skipped.append((before, role))


@pytest.fixture
def server():
    class Server(BaseHTTPRequestHandler):
        """Serves ``records``, numbered from ``first`` on, two a page."""

        ring, first, records, status, more, asked, body = "one", 0, [], 200, {}, None, None

        def do_GET(self):
            query = parse_qs(urlsplit(self.path).query)
            (after,), Server.asked = query["after"], query.get("along")
            last = Server.first + len(Server.records)
            begin = min(max(int(after), Server.first), last)
            found = Server.records[begin - Server.first :][:2]
            end = begin + len(found)
            page = {"ring": Server.ring, "now": 101.0, "first": Server.first, "next": end}
            page |= Server.more
            body = json.dumps(page | {"more": end < last, "records": found}).encode()
            if Server.status == 404:
                body = b'{"error": "no such page"}'
            body = Server.body or body
            self.send_response(Server.status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,)).start()
        Server.url = f"http://127.0.0.1:{http.server_port}"
        yield Server
        http.shutdown()


def test_every_page_is_read_and_nothing_twice(server):
    join, reader = Kept(), AnswersReader(server.url, Role.STABLE)
    server.records = [record(name) for name in "abcde"]
    assert reader.read_into(join)
    server.records = [*server.records, record("f")]
    assert reader.read_into(join)
    assert (join.names, join.skipped) == (list("abcdef"), [])


def test_after_a_restart_it_begins_anew(server):
    join, reader = Kept(), AnswersReader(server.url, Role.STABLE)
    server.records = [record(name) for name in "abc"]
    reader.read_into(join)
    server.ring, server.records = "two", [record("x")]
    reader.read_into(join)
    assert join.names == list("abcx")


def test_what_was_forgotten_before_it_was_read_is_told(server):
    join, reader = Kept(), AnswersReader(server.url, Role.STABLE)
    server.records, server.first = [record("h")], 7
    reader.read_into(join)
    assert (join.names, join.skipped) == (["h"], [(100.0, "stable")])


@pytest.mark.parametrize("status", [503, 500])
def test_a_server_that_is_sick_has_nothing_new(server, status):
    server.status = status
    assert not AnswersReader(server.url, Role.STABLE).read_into(Kept())
    assert not AnswersReader("http://127.0.0.1:1", Role.STABLE).read_into(Kept())


def test_a_server_of_somebody_else_is_named(server):
    server.status = 404
    with pytest.raises(LabError, match=r"keeps no answers to join \(HTTP 404 at /answers\)"):
        AnswersReader(server.url, Role.STABLE).read_into(Kept())


@pytest.mark.parametrize("body", [b"[]", b"no JSON", b"[" * 100_000])
def test_what_is_no_page_is_no_answer(server, body):
    server.body = body
    with pytest.raises(LabError, match="keeps no answers to join"):
        AnswersReader(server.url, Role.CANDIDATE).read_into(Kept())


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"lacks": []}, None),
        (
            {"lacks": ["scores"]},
            r"stable v1 \(.*\) gives no scores, .*with the output predict_proba, or gate",
        ),
        # a server that has never heard of it
        ({}, "gives no scores and no ranking, .* predict_proba and ranking, or gate agreement >= 99%"),
    ],
)
def test_what_is_to_come_along_is_asked_for_and_missed(server, more, says):
    server.more, server.records = more, [record("a")]
    reader = AnswersReader(server.url, Role.STABLE, along=("scores", "ranking"), version="v1")
    if says is None:
        assert reader.read_into(Kept())
        assert server.asked == ["scores,ranking"]
        return
    with pytest.raises(GateError, match=says):
        reader.read_into(Kept())
