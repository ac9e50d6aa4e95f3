import pytest
from gevent.event import Event

from loadtest.errors import StartError
from loadtest.experiment.experiment import Experiment
from loadtest.load.cluster.joining import Joining, worker_command
from loadtest.load.cluster.own_version import own_version

COMMAND = "loadproof worker --master 10.0.0.5:5557"
JOINING = Joining("0.0.0.0", 5557, 2, 0.5, "10.0.0.5:5557")


class Coordinator:
    """Who is there changes every time that it is asked for; the last stay."""

    def __init__(self, *there, strangers=(), others=None):
        self._there, self.strangers, self.others = list(there), list(strangers), others or {}

    @property
    def workers(self):
        return self._there.pop(0) if len(self._there) > 1 else self._there[0]


def test_a_run_begins_when_enough_have_joined_and_says_who_comes_and_goes():
    coordinator, shown = Coordinator([], ["a_1"], ["a_1"], [], ["a_1", "b_1", "c_1"]), []
    JOINING.wait(coordinator, COMMAND, shown.append, Event(), clock=lambda: 0.0)
    assert [event["workers"]["joined"] for event in shown] == [0, 1, 0, 3]
    last = {"joined": 3, "expected": 2, "at": "10.0.0.5:5557", "start": COMMAND}
    assert shown[-1] == {"workers": last}


def test_a_worker_that_is_refused_is_said_at_once():
    shown, interrupted = [], Event()
    coordinator = Coordinator([], ["a_1", "b_1"], others={"c_1": "0.2.0 (ab)"})
    JOINING.wait(coordinator, COMMAND, shown.append, interrupted, clock=lambda: 0.0)
    assert "c has another version of Loadproof (0.2.0 (ab), here" in shown[0]["workers"]["refused"]


def test_the_wait_ends_when_the_command_is_interrupted():
    interrupted, shown = Event(), []

    def show(event):
        shown.append(event)
        interrupted.set()

    JOINING.wait(Coordinator([]), COMMAND, show, interrupted, clock=lambda: 0.0)
    assert len(shown) == 1


@pytest.mark.parametrize(
    ("joined", "strangers", "others", "says"),
    [
        ([], [], {}, "0 of 2 workers joined at 10.0.0.5:5557 within 0.5 s; start the missing ones with"),
        # who is there is named by machine: the others are missing
        (["node-7_1f2e"], [], {}, "1 of 2 workers joined at 10.0.0.5:5557 within 0.5 s (node-7); start"),
        # one that is there and may not take part is no worker that did not start
        (
            ["node-7_1f2e"],
            ["node-8_3a"],
            {},
            "(node-7); node-8 connected without the master's LOADPROOF_WORKER_TOKEN, or has an older Load",
        ),
        # nor is one that would draw other arrivals, or understand another job
        (
            [],
            [],
            {"node-9_1": "0.2.0 (ab)"},
            f"node-9 has another version of Loadproof (0.2.0 (ab), here {own_version()}); start",
        ),
        (
            [],
            [],
            {"node-9_1": ""},
            f"node-9 has another version of Loadproof (older, here {own_version()}); start",
        ),
    ],
)
def test_workers_that_did_not_come_are_one_line(joined, strangers, others, says):
    times = iter([0.0, 1.0])
    coordinator = Coordinator(joined, strangers=strangers, others=others)
    with pytest.raises(StartError) as late:
        JOINING.wait(coordinator, COMMAND, lambda _: None, Event(), clock=lambda: next(times))
    assert says in str(late.value)
    assert f"with `{COMMAND}`, or wait longer with --expect-workers-max-wait" in str(late.value)


def target(**changes):
    servers = {"stable": "http://old.example:8000", "candidate": "http://new.example:8000"} | changes
    return {"target": servers}


@pytest.mark.parametrize(
    ("experiment", "gateway", "words"),
    [
        # the lab's own gateway, at the address that the workers see
        ({}, "http://10.0.0.5:8080", "--allow-host 10.0.0.5"),
        # without one they see what the master sees
        ({}, None, "--allow-host 127.0.0.1"),
        (target(), None, "--allow-host old.example --allow-host new.example"),
        (target(candidate="http://old.example:9000"), None, "--allow-host old.example"),
        # a value that is written there needs nothing of the worker's machine
        (
            target(headers=["Authorization: env:TOKEN", "X-Team: shop"]),
            None,
            "--allow-host old.example --allow-host new.example --allow-variable TOKEN",
        ),
    ],
)
def test_the_command_of_a_worker_allows_what_the_run_asks_of_its_machine(experiment, gateway, words):
    joining = Joining("0.0.0.0", 5557, 2, 0.5, "10.0.0.5:5557", gateway)
    asked = Experiment.load_file("compare", experiment)
    assert worker_command(joining, asked, "http://127.0.0.1:1") == f"{COMMAND} {words}"


@pytest.mark.parametrize(
    ("skews", "shown"),
    [
        ([0.01, None, -0.4], []),
        ([0.01, None, 120.0], [{"clocks": {2: 120.0}}]),
        ([-86400.0], [{"clocks": {0: -86400.0}}]),
    ],
)
def test_clocks_that_are_off_are_shown(skews, shown):
    events = []
    JOINING.note_clocks(skews, events.append)
    assert events == shown
