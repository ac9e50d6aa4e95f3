import pytest

from loadtest.load.cluster.messages import Go, Job, decode_answers, encode_answers, listen, send


class Runner:
    """Delivers at once, as Locust does inside one process."""

    def __init__(self):
        self.listeners, self.clients = {}, []

    def register_message(self, kind, listener):
        self.listeners[kind] = listener

    def send_message(self, kind, data, client):
        self.clients.append(client)
        self.listeners[kind](msg=type("Message", (), {"data": data}), environment=None)


@pytest.mark.parametrize("client", [None, "there_1"])
def test_a_message_arrives_as_what_it_was_sent(client):
    runner, heard, others = Runner(), [], []
    listen(runner, Go, heard.append)
    listen(runner, Job, others.append)
    send(runner, Go("run", 1e9, 0.5), client)
    assert (heard, others, runner.clients) == ([Go("run", 1e9, 0.5)], [], [client])


def test_baseline_answers_travel():
    baseline = {"stable": {0: "1", 7: "ä"}, "candidate": {7: "0"}}
    assert decode_answers(encode_answers(baseline)) == baseline
    assert decode_answers(encode_answers({})) == {}
    assert decode_answers(b"") == {}
