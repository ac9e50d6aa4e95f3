import logging

import msgpack
import pytest

from loadtest.load.cluster.channel import Channel
from loadtest.load.cluster.messages import Go, Job, Joined, Report


class Runner:
    """Delivers at once, as Locust does inside one process."""

    def __init__(self):
        self.listeners, self.clients = {}, []

    def register_message(self, kind, listener):
        self.listeners[kind] = listener

    def send_message(self, kind, data, client):
        self.clients.append(client)
        self.deliver(kind, data)

    def deliver(self, kind, data):
        message = type("Message", (), {"data": data, "node_id": "there_1"})
        self.listeners[kind](msg=message, environment=None)


@pytest.mark.parametrize("client", [None, "there_1"])
@pytest.mark.parametrize("token", [None, "secret"])
def test_a_message_arrives_as_what_it_was_sent(client, token):
    runner, heard, others = Runner(), [], []
    channel = Channel(runner, token)
    channel.listen(Go, lambda *said: heard.append(said))
    channel.listen(Job, lambda *said: others.append(said))
    channel.send(Go("run", 1e9, 0.5), client)
    assert (heard, others, runner.clients) == ([(Go("run", 1e9, 0.5), "there_1")], [], [client])


@pytest.mark.parametrize(
    ("theirs", "ours", "comes"),
    [
        ("secret", "secret", True),
        # a worker, or a master, that does not know the token, or knows another
        (None, "secret", False),
        ("guess", "secret", False),
        # who has a token is heard by nobody who has none: one side was not configured
        ("secret", None, False),
    ],
)
def test_only_who_knows_the_token_is_heard(caplog, theirs, ours, comes):
    runner, heard = Runner(), []
    Channel(runner, ours).listen(Joined, lambda *said: heard.append(said))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            Channel(runner, theirs).send(Joined("there_1"))
    assert bool(heard) == comes
    # one line, however often it tries
    assert caplog.text.count("LOADPROOF_WORKER_TOKEN") == (not comes)


def test_a_signature_is_of_one_kind_of_message_and_one_content():
    runner, heard, sent = Runner(), [], []
    channel = Channel(runner, "secret")
    runner.send_message = lambda kind, data, client: sent.append(data)
    channel.send(Joined("there_1"))
    channel.listen(Joined, lambda *said: heard.append(said))
    channel.listen(Go, lambda *said: heard.append(said))
    runner.deliver("loadproof:Go", sent[0])
    runner.deliver("loadproof:Joined", sent[0] | {"content": msgpack.packb({"worker": "there_2"})})
    assert heard == []
    runner.deliver("loadproof:Joined", sent[0])
    assert heard == [(Joined("there_1"), "there_1")]


GOOD = Report("run", 0, 0, "running")._asdict()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (GOOD | {"worker": -1}, "worker"),
        (GOOD | {"state": "done"}, "state"),
        (GOOD | {"recorded": -5}, "recorded"),
        (GOOD | {"sent": 2**60}, "sent"),
        (GOOD | {"elapsed": float("nan")}, "elapsed"),
        (GOOD | {"warmup": [1]}, "warmup"),
        (GOOD | {"problem": "x" * 100_000}, "problem"),
        (GOOD | {"code": 77}, "code"),
        (GOOD | {"samples": b"0" * (64 * 2**20 + 1)}, "samples"),
        (GOOD | {"run": "r" * 1000}, "run"),
        (GOOD | {"other": 1}, "other"),
        ({"run": "run"}, "worker"),
        (None, ""),
        ([1, 2], ""),
    ],
)
def test_what_is_no_message_is_ignored_in_one_line(caplog, content, named):
    runner, heard = Runner(), []
    Channel(runner).listen(Report, lambda *said: heard.append(said))
    with caplog.at_level(logging.WARNING):
        runner.deliver("loadproof:Report", {"content": msgpack.packb(content), "signature": b""})
    assert heard == []
    assert named in caplog.text
    assert len(caplog.text.splitlines()) == 1


@pytest.mark.parametrize(
    "data",
    [
        None,
        7,
        {},
        {"content": b""},
        {"content": b"\xc1", "signature": b""},
        {"content": "text", "signature": b""},
        {"content": b"\xdd\xff\xff\xff\xff", "signature": b""},
        {"content": b"\x80", "signature": "ä"},
    ],
)
def test_bytes_that_are_none_of_ours_are_ignored(caplog, data):
    runner, heard = Runner(), []
    Channel(runner).listen(Joined, lambda *said: heard.append(said))
    runner.deliver("loadproof:Joined", data)
    assert heard == []
    assert len(caplog.text.splitlines()) == 1
