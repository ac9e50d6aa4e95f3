"""Who takes part in a run: by token, by version, and by what Locust says of the connections."""

import os
import subprocess
import sys
from types import SimpleNamespace

import msgpack
import pytest

from loadtest.load.cluster.channel import Channel
from loadtest.load.cluster.members import Members, lives
from loadtest.load.cluster.messages import Joined
from loadtest.load.cluster.own_version import own_version

OURS = "0.1.0 (12345678)"


class Runner:
    """What is used of Locust's master."""

    def __init__(self, *ready):
        nodes = [SimpleNamespace(id=client) for client in ready]
        self.clients = SimpleNamespace(ready=nodes[:1], spawning=nodes[1:2], running=nodes[2:])
        self.listeners, self.sent = {}, []

    def register_message(self, kind, listener):
        self.listeners[kind] = listener

    def send_message(self, kind, _, client):
        self.sent.append((kind, client))

    def get_worker_index(self, client):
        return -ord(client[0])

    def hear(self, sender, **fields):
        data = {"content": msgpack.packb(fields), "signature": b""}
        self.listeners["loadproof:Joined"](SimpleNamespace(data=data, node_id=sender))


@pytest.mark.parametrize(
    ("introduced", "workers", "strangers"),
    [
        # whoever is connected takes part, unless it is known to be of another version
        (False, ["d_1", "a_1"], []),
        # only whom a word was understood of does
        (True, ["a_1"], ["d_1"]),
    ],
)
def test_who_takes_part(introduced, workers, strangers):
    runner = Runner("a_1", "b_1", "c_1", "d_1")
    members = Members(runner, Channel(runner), OURS, introduced=introduced)
    for _ in range(2):
        runner.hear("a_1", worker="a_1", version=OURS)
        runner.hear("b_1", worker="b_1", version="0.1.0 (87654321)")
        # a release that does not say, and one that has gone
        runner.hear("c_1", worker="c_1")
        runner.hear("gone_1", worker="gone_1", version="0.0.9 (1)")
    # in another's name
    runner.hear("d_1", worker="a_1", version=OURS)
    assert (members.workers, members.strangers) == (workers, strangers)
    assert members.others == {"b_1": "0.1.0 (87654321)", "c_1": ""}


def test_the_only_process_is_a_worker():
    runner = SimpleNamespace(client_id="me_1", register_message=lambda *_: None)
    assert Members(runner, Channel(runner), OURS, introduced=False).workers == ["me_1"]


def test_a_worker_that_is_updated_takes_part():
    runner = Runner("a_1")
    members = Members(runner, Channel(runner), OURS, introduced=True)
    runner.hear("a_1", worker="a_1", version="0.0.9 (1)")
    assert (members.workers, members.others) == ([], {"a_1": "0.0.9 (1)"})
    runner.hear("a_1", worker="a_1", version=OURS)
    assert (members.workers, members.others, members.strangers) == (["a_1"], {}, [])


@pytest.mark.parametrize(
    "fields",
    [
        {"worker": "a_1", "version": OURS},
        # of another version, whose words are others
        {"machine": "a"},
    ],
)
def test_a_worker_hears_that_its_master_is_no_other_locust(fields):
    runner = Runner("a_1")
    Members(runner, Channel(runner), OURS, introduced=True)
    runner.hear("a_1", **fields)
    assert runner.sent == [("loadproof:Welcome", "a_1")]


def test_a_version_travels_whole():
    assert Joined("a_1", own_version())._asdict() == {"worker": "a_1", "version": own_version()}
    assert own_version().startswith("0.1.0 (")


def test_a_worker_lives_until_it_has_ended_and_one_that_was_forgotten_does_not():
    worker = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert lives(worker.pid)
    worker.communicate(b"\n")
    assert not lives(worker.pid)
    # as a child that is nobody's any more
    assert not lives(os.getppid())
