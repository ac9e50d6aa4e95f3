"""Signed as Standard Webhooks says, sent again where that may help, and silent about secrets."""

import base64
import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from loadtest.canary.decision import Decision, Position
from loadtest.canary.event import Event
from loadtest.canary.live_evidence import Alarm, Evidence
from loadtest.errors import TargetError, UsageError
from loadtest.publish.stored_verdict import read_verdict
from loadtest.publish.webhook import Decisions, Message, Webhook, key_of

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL = "https://ann:sesame@hooks.example/T0/B0/sesame?key=sesame"


class World:
    """A receiver that answers what it is told to, and a clock that nobody waits for."""

    def __init__(self, *answers):
        self.answers, self.now, self.got, self.waited = list(answers), 1_700_000_000.0, [], []

    def post(self, url, body, headers, seconds):
        self.got.append((url, body, headers))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sleep(self, seconds):
        self.waited.append(seconds)
        self.now += seconds

    def webhook(self):
        return Webhook(URL, key_of(SECRET), self.post, lambda: self.now, self.sleep)


def test_the_signature_is_the_one_of_the_specification():
    # the example of the specification's own libraries
    message = Message("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}')
    headers = message.headers(key_of(SECRET), 1614265330)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (message.id, "1614265330")


@pytest.mark.parametrize(
    ("answers", "waits", "error"),
    [
        ([204], [], None),
        # away, busy, and then there
        ([ConnectionError(URL), 503, 200], [1.0, 2.0], None),
        ([429, 201], [1.0], None),
        # no attempt more will help
        ([401], [], "hooks.example answers HTTP 401"),
        ([410], [], "hooks.example answers HTTP 410"),
        # not followed
        ([302], [], "hooks.example answers HTTP 302"),
        ([500] * 5, [1.0, 2.0, 4.0, 8.0], "hooks.example answers HTTP 500"),
        ([TimeoutError(URL)] * 5, [1.0, 2.0, 4.0, 8.0], r"hooks.example does not answer \(TimeoutError\)$"),
    ],
)
def test_attempts(store, answers, waits, error):
    world = World(*answers)
    if error is None:
        said = world.webhook().deliver(read_verdict(store()))
        assert said == "webhook: hooks.example has the verdict"
    else:
        with pytest.raises(TargetError, match=error) as refused:
            world.webhook().deliver(read_verdict(store()))
        assert "sesame" not in str(refused.value)
    assert world.waited == waits
    assert len(world.got) == len(answers)
    # one message, signed anew at each attempt
    assert len({headers["webhook-id"] for _, _, headers in world.got}) == 1
    assert len({headers["webhook-signature"] for _, _, headers in world.got}) == len(answers)


def test_attempts_end_in_time():
    world = World(*[500] * 5)

    def slow(url, body, headers, seconds):
        world.now += seconds
        return world.post(url, body, headers, seconds)

    webhook = Webhook(URL, key_of(SECRET), slow, lambda: world.now, world.sleep)
    with pytest.raises(TargetError):
        webhook.send(Message.make("verdict", 0.0, {}))
    assert len(world.got) == 3
    assert world.now <= 1_700_000_030.0


def test_the_body(store):
    world = World(200, 200)
    stored = read_verdict(store())
    world.webhook().deliver(stored)
    world.webhook().deliver(stored)  # again by hand: the receiver knows it by its id
    first, second = world.got
    assert first[2]["webhook-id"] == second[2]["webhook-id"]
    body = json.loads(first[1])
    assert (body["type"], body["timestamp"]) == ("verdict", "2023-11-14T22:13:20Z")
    assert (body["data"]["schema"], body["data"]["verdict"]) == (1, "PASS")


def event(verb, gate="accuracy >= stable"):
    alarm = Alarm(gate, "proof", float("inf"), "user-7 answers rosebud")
    why = "accuracy fell; https://u:p@grafana.example/d/1?token=sesame"
    evidence = Evidence(
        at=12.3, answers=20.0, alarms=(alarm,), proofs=(), misses={}, ejected=False, silent={}
    )
    return Event(12.3456, Decision(verb, 0.0, why), Position(5.0, 1.0), evidence)


def test_decisions_but_no_holding():
    world = World(200, 200)
    decisions = Decisions(world.webhook(), "canary", pytest.fail)
    for verb in ("hold", "step", "hold", "rollback"):
        decisions.show(event(verb))
    decisions.close()
    bodies = [json.loads(body) for _, body, _ in world.got]
    assert [body["data"]["decision"] for body in bodies] == ["step", "rollback"]
    assert bodies[1]["type"] == "canary.decision"
    assert bodies[1]["data"] == {
        "schema": 1,
        "experiment": "canary",
        "decision": "rollback",
        "split": 0.0,
        "at_s": 12.346,
        "reason": "accuracy fell; https://grafana.example",
        "alarms": [{"gate": "accuracy >= stable", "evidence": None}],
        "shown": [],
    }
    assert len({headers["webhook-id"] for _, _, headers in world.got}) == 2


def test_a_receiver_that_refuses_is_said_once():
    world, said = World(403, 403), []
    decisions = Decisions(world.webhook(), "canary", said.append)
    decisions.show(event("step"))
    decisions.show(event("promote"))
    decisions.close()
    assert said == ["decisions are not delivered to the webhook: hooks.example answers HTTP 403"]
    assert len(world.got) == 2


@pytest.mark.parametrize(
    "secret",
    ["", "sesame", "whsec_", "whsec_" + base64.b64encode(b"a" * 23).decode(), "whsec_" + "A" * 88, "whsec_é"],
)
def test_a_secret_that_is_none(secret):
    with pytest.raises(UsageError, match="LOADPROOF_WEBHOOK_SECRET must be") as refused:
        Webhook.from_environment({"LOADPROOF_WEBHOOK_URL": URL, "LOADPROOF_WEBHOOK_SECRET": secret})
    assert not secret or len(secret) < 7 or secret not in str(refused.value)
    assert "hooks" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["hooks.example/sesame", "ftp://sesame", "http://", "http://h:sesame/", "http://[x"]
)
def test_a_url_that_is_none(url):
    with pytest.raises(UsageError, match="LOADPROOF_WEBHOOK_URL is no URL") as refused:
        Webhook.from_environment({"LOADPROOF_WEBHOOK_URL": url, "LOADPROOF_WEBHOOK_SECRET": SECRET})
    assert "sesame" not in str(refused.value)


def test_no_webhook_unless_one_is_named():
    assert Webhook.from_environment({"LOADPROOF_WEBHOOK_SECRET": SECRET}) is None


def test_over_a_socket(store):
    got = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/hook"
        environment = {"LOADPROOF_WEBHOOK_URL": url, "LOADPROOF_WEBHOOK_SECRET": SECRET}
        Webhook.from_environment(environment).deliver(read_verdict(store()))
        server.shutdown()
    ((headers, body),) = got
    at = int(headers["webhook-timestamp"])
    assert (
        headers["webhook-signature"]
        == Message(headers["webhook-id"], body).headers(key_of(SECRET), at)["webhook-signature"]
    )
    assert (
        abs(datetime.fromisoformat(json.loads(body)["timestamp"]) - datetime.fromtimestamp(at, UTC)).days == 0
    )
