"""What a rollout is told: over a real socket, of stored runs, with a time that is given."""

import json
import socket
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml

from loadtest.errors import UsageError
from loadtest.judge.verdict import Word
from loadtest.publish.verdict_lookup import Question, find_verdict
from loadtest.publish.verdict_server import LARGEST_BODY, VerdictServer
from tests.loadtest.publish.conftest import made_verdict

PAGE = Path(__file__).parents[3] / "docs" / "integrations.md"
NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


@contextmanager
def serving(results, hosts=()):
    find = lambda question: find_verdict(results, question, NOW)  # noqa: E731
    with VerdictServer(("127.0.0.1", 0), find, hosts) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def ask(port, method, path, body=None, **headers):
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


@pytest.fixture
def results(store, tmp_path):
    of = {word: made_verdict(word) for word in Word}
    store("20260102T090000Z-compare", of[Word.PASS], versions={"candidate": "v2"})
    store("20260102T100000Z-compare", of[Word.FAIL], versions={"candidate": "v3"})
    # the newest of v4, at several rates
    store("20260102T080000Z-compare", of[Word.PASS], versions={"candidate": "v4"})
    store("20260102T110000Z-compare", of[Word.INCONCLUSIVE], (20, 40), versions={"candidate": "v4"})
    store("20260101T110000Z-compare", of[Word.PASS], versions={"candidate": "v5"})
    store("20260102T070000Z-compare", of[Word.INVALID], versions={"candidate": "v6"})
    # no runs, or none that can be read
    for name, content in (("20260102T113000Z-compare", "{"), ("20261399T000000Z-x", "{}"), ("notes", "{}")):
        folder = tmp_path / "results" / name
        folder.mkdir()
        (folder / "verdict.json").write_text(content)
    return tmp_path / "results"


@pytest.mark.parametrize(
    ("query", "status", "found"),
    [
        ("candidate=v2", 200, "PASS"),
        ("candidate=v3&experiment=compare", 200, "FAIL"),
        ("candidate=v4", 200, "INCONCLUSIVE"),
        ("candidate=v6", 200, "INVALID"),
        # a verdict of last week's v5 would promote today's; it may be asked for
        ("candidate=v5", 404, "no verdict on 'v5' yet"),
        ("candidate=v5&max_age=48h", 200, "PASS"),
        ("candidate=v2&max_age=1h", 404, "no verdict on 'v2' yet"),
        ("candidate=v2&experiment=other", 404, "no verdict"),
        # never of whichever version was measured last
        ("", 400, "name the candidate"),
        ("candidate=", 400, "name the candidate"),
        ("candidate=v2&max_age=soon", 400, "write 30m or 24h"),
        ("candidate=v2&version=v3", 400, "'version' is unknown"),
    ],
)
def test_argo_rollouts(results, query, status, found):
    with serving(results) as port:
        got, text = ask(port, "GET", f"/v1/verdict?{query}")
    assert got == status, text
    assert (json.loads(text)["verdict"] == found) if status == 200 else (found in text)


@pytest.mark.parametrize(
    ("candidate", "confirm", "rollback"),
    [("v2", 200, 409), ("v3", 409, 200), ("v4", 409, 409), ("v6", 409, 409), ("v9", 404, 404)],
)
def test_flagger(results, candidate, confirm, rollback):
    # as Flagger sends it; its metadata are strings
    sent = {"name": "shop", "namespace": "prod", "phase": "Progressing", "checksum": "85d557f47b"}
    body = json.dumps(sent | {"metadata": {"candidate": candidate, "experiment": "compare"}})
    with serving(results) as port:
        assert ask(port, "POST", "/v1/flagger/confirm", body)[0] == confirm
        status, text = ask(port, "POST", "/v1/flagger/rollback", body)
    assert status == rollback
    assert candidate != "v4" or text.startswith("INCONCLUSIVE: all 3 gates")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/healthz", None, 200),
        ("HEAD", "/healthz", None, 200),
        ("GET", "/", None, 404),
        ("GET", "/v1/../verdict.json", None, 404),
        ("POST", "/v1/verdict?candidate=v2", "{}", 404),
        ("DELETE", "/v1/verdict?candidate=v2", None, 501),
        ("POST", "/v1/flagger/confirm", "{}", 400),
        ("POST", "/v1/flagger/confirm", "[1", 400),
        ("POST", "/v1/flagger/confirm", '{"metadata": ["v2"]}', 400),
        ("POST", "/v1/flagger/confirm", '{"metadata": {"candidate": "v2", "x": 1}}', 400),
        ("POST", "/v1/flagger/confirm", " " * (LARGEST_BODY + 1), 413),
    ],
)
def test_what_else_is_asked(results, method, path, body, status):
    with serving(results) as port:
        assert ask(port, method, path, body)[0] == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8790", 200),
        ("localhost", 200),
        ("10.1.2.3:8790", 200),
        ("[::1]:8790", 200),
        ("loadproof.prod", 200),
        ("LOADPROOF.prod:8790", 200),
        # a site that gave its own name this address
        ("evil.example", 403),
        ("loadproof.prod.evil.example", 403),
        ("[", 403),
        ("", 403),
    ],
)
def test_by_which_name_it_may_be_asked(results, host, status):
    with serving(results, ["loadproof.prod"]) as port:
        assert ask(port, "GET", "/v1/verdict?candidate=v2", Host=host)[0] == status


def test_a_client_that_goes_away_harms_nobody(results):
    with serving(results) as port:
        with socket.create_connection(("127.0.0.1", port)) as half:
            half.sendall(b"GET /v1/verd")
        assert ask(port, "GET", "/healthz") == (200, "ok\n")


def test_no_folder_of_results(tmp_path):
    assert find_verdict(tmp_path / "gone", Question("v2"), NOW) is None


def test_ages_that_are_too_large():
    with pytest.raises(UsageError, match="write 30m or 24h"):
        Question.parse({"candidate": "v2", "max_age": "9" * 30 + "h"})


def test_the_page_asks_what_is_answered(results):
    text = PAGE.read_text().replace("{{args.candidate}}", "v2")
    manifests = {}
    for block in text.split("```yaml\n")[1:]:
        manifests |= {one["kind"]: one for one in yaml.safe_load_all(block.partition("```")[0])}
    web = manifests["AnalysisTemplate"]["spec"]["metrics"][0]["provider"]["web"]
    assert Question.parse(dict(parse_qsl(urlsplit(web["url"]).query))).candidate == "v2"
    (container,) = manifests["Deployment"]["spec"]["template"]["spec"]["containers"]
    named = container["command"][container["command"].index("--host") + 1]
    hooks = manifests["Canary"]["spec"]["analysis"]["webhooks"]
    assert {urlsplit(url).hostname for url in (web["url"], *(hook["url"] for hook in hooks))} == {named}
    with serving(results) as port:
        for hook, status in zip(hooks, (404, 404), strict=True):
            body = json.dumps({"metadata": hook["metadata"] | {"candidate": "v9"}})
            assert ask(port, "POST", urlsplit(hook["url"]).path, body)[0] == status
