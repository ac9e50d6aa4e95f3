"""A worker learns from its master's first answers whether that is Loadproof's."""

from types import SimpleNamespace

import gevent
import pytest

from loadtest.load.cluster.channel import Channel
from loadtest.load.cluster.introduction import Introduction
from loadtest.load.cluster.messages import Welcome


class Runner:
    """What is used of Locust's worker."""

    client_id, master_host, master_port = "a_1", "10.0.0.5", 5557

    def __init__(self):
        self.environment = SimpleNamespace(process_exit_code=None)
        self.listeners, self.sent, self.has_quit = {}, [], 0

    def register_message(self, kind, listener):
        self.listeners[kind] = listener

    def send_message(self, kind, *_):
        self.sent.append(kind)

    def quit(self):
        self.has_quit += 1


class Master(Runner):
    """Hands its messages to a worker."""

    def __init__(self, worker):
        super().__init__()
        self.worker = worker

    def send_message(self, kind, data, _):
        self.worker.listeners[kind](SimpleNamespace(data=data, node_id="master"))


@pytest.mark.parametrize(
    ("welcomed_after", "token", "leaves"),
    [
        # a master that speaks Locust alone
        (None, None, True),
        (2, None, False),
        # one whose token is another: it names the worker, which waits and says why
        (2, "guessed", False),
        # late: the worker has left by then
        (3, None, True),
    ],
)
def test_a_worker_leaves_a_master_that_does_not_understand_it(caplog, welcomed_after, token, leaves):
    runner = Runner()
    introduction = Introduction(Channel(runner), runner)
    for number in range(1, 10):
        introduction.on_heartbeat()
        if number == welcomed_after:
            Channel(Master(runner), token).send(Welcome(), "a_1")
            Channel(Master(runner), token).send(Welcome(), "a_1")
    gevent.sleep(0)
    assert runner.sent == ["loadproof:Joined"] * 9
    assert (runner.has_quit, runner.environment.process_exit_code) == ((1, 5) if leaves else (0, None))
    assert caplog.text.count("10.0.0.5:5557: what listens there is a Locust master without") == leaves
    assert caplog.text.count("10.0.0.5:5557: the master's LOADPROOF_WORKER_TOKEN is not") == (
        token is not None
    )
