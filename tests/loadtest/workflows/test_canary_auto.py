"""The loop around the decision: with a lab that is made up, and a clock that nobody waits for."""

import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from prometheus_client import generate_latest
from rich.console import Console

from loadtest.canary.counts import Counts, Scrape
from loadtest.canary.decision import Position
from loadtest.canary.state import Deployment, Note, State
from loadtest.errors import ExitCode, LabError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.fetch import get
from loadtest.lab.gateway.signature import sign
from loadtest.report.canary_terminal import CanaryDisplay
from loadtest.workflows.canary_auto import Controller, resume
from loadtest.workflows.canary_outputs import Annotations, Lines, Metrics

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def state(percent=0.0):
    return State.begin(
        Deployment("stable", "v1"), Deployment("candidate", "v2"), Note("ann", "new", NOW), percent
    )


class Store:
    def __init__(self, begin=None):
        self.state = begin or state()

    def read(self):
        return self.state

    def update(self, change):
        self.state = change(self.state)
        return self.state


class World:
    """Makes the scrapes of a candidate, and the time that passes between them."""

    def __init__(self, store, wrong=0.2, errors=0.0, dies_at=None):
        self.rng, self.store, self.now = np.random.default_rng(4), store, 0.0
        self.wrong, self.errors, self.dies_at = wrong, errors, dies_at
        self.each = lambda: None

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds

    def scrape(self):
        return {}, {}

    def read(self, at, pages, ready):
        self.each()
        split = self.store.state.now.percent
        counts = {}
        for role, share, wrong, errors in (
            ("stable", 1 - split / 100, 0.2, 0.0),
            ("candidate", split / 100, self.wrong, self.errors),
        ):
            n = int(self.rng.poisson(500 * share))
            counts[role] = Counts(n, self.rng.binomial(n, errors), n, self.rng.binomial(n, wrong))
        alive = self.dies_at is None or at < self.dies_at
        return Scrape(at, counts, ready={"stable": True, "candidate": alive})


def auto(world, *outputs, **canary):
    experiment = Experiment.load_file(
        "canary", {"canary": {"rollback": ["error_rate <= stable", "accuracy >= stable"]} | canary}
    )
    return Controller(
        experiment, world.store, world.scrape, world, outputs, clock=world.clock, sleep=world.sleep
    )


def actions(store):
    return [(e.action, e.percent) for e in store.state.history[1:]]


def test_an_honest_candidate_goes_up_by_itself_and_is_promoted():
    world = World(Store())
    end = auto(world).run()
    assert end.code is ExitCode.PASS
    steps = [("set", step) for step in (1, 5, 10, 25, 50, 100)]
    assert actions(world.store) == [*steps, ("promote", 0)]
    assert world.store.state.now.stable.version == "v2"
    last = world.store.state.history[-2].note
    assert last.by == "auto"
    # each decision carries what it was made upon
    assert last.evidence["proofs"]["accuracy >= stable - 2pp"]["shown"][-1] == 1.0
    assert world.now < 120


def test_one_that_answers_worse_is_paused_once_and_then_out():
    world = World(Store(), wrong=0.4)
    end = auto(world).run()
    assert end.code is ExitCode.FAIL
    assert [a for a in actions(world.store) if a[1] == 0] == [("set", 0), ("rollback", 0)]
    assert max(percent for _, percent in actions(world.store)) <= 10
    assert "accuracy >= stable" in end.why


class Mirror:
    """What both servers keep of a shadow: 200 requests per scrape, of which the candidate gets some wrong."""

    def __init__(self, world, wrong):
        self.world, self.wrong, self.asked = world, wrong, 0

    def read_into(self, join):
        now = self.world.store.state.since.timestamp() + 1
        for wrong in self.world.rng.random(200) < self.wrong:
            self.asked += 1
            told = {"at": now, "id": str(self.asked)}
            answer = told | {"status": 200, "seconds": 0.01, "user": None}
            join.add([answer | {"mark": "original", "labels": ["a"]}], now, Role.STABLE)
            join.add([answer | {"mark": "copy", "labels": ["b" if wrong else "a"]}], now, Role.CANDIDATE)
            join.add([told | {"truth": ["a"]}], now, Role.STABLE)


def in_shadow(world, wrong, *outputs, gates=(), **canary):
    experiment = Experiment.load_file(
        "canary",
        {"canary": {"rollback": ["error_rate <= stable", "accuracy >= stable"], "shadow": 30.0} | canary},
        gates,
    )
    mirror = Mirror(world, wrong)
    controller = Controller(
        experiment,
        world.store,
        world.scrape,
        world,
        outputs,
        read_answers=mirror.read_into,
        clock=world.clock,
        sleep=world.sleep,
    )
    return controller.run(), mirror


def test_a_shadow_comes_before_the_first_step_and_harms_nobody():
    world, metrics, lines = World(Store()), Metrics(), []
    end, mirror = in_shadow(world, 0.0, metrics, Lines(lines.append))
    assert end.code is ExitCode.PASS
    assert actions(world.store)[:2] == [("shadow", 0), ("set", 1)]
    # thirty seconds of two hundred answers, and none afterwards
    assert 29 * 200 <= mirror.asked <= 31 * 200
    first = json.loads(lines[1])["shadow"]
    assert (first["pairs"], first["agreement"]) == (200, 1.0)
    assert "shadow" not in json.loads(lines[-1])
    text = generate_latest(metrics.registry).decode()
    assert 'loadproof_canary_shadow_agreement{value="estimate"} 1.0' in text
    assert f'loadproof_canary_shadow_requests{{outcome="joined"}} {float(mirror.asked)}' in text
    assert 'loadproof_canary_shadow_latency_seconds{role="candidate",value="p99"} 0.01' in text


def test_one_that_answers_worse_in_the_shadow_never_gets_a_user():
    world = World(Store())
    end, _ = in_shadow(world, 0.2)
    assert end.code is ExitCode.FAIL
    assert actions(world.store) == [("shadow", 0), ("rollback", 0)]
    assert "accuracy >= stable: wrong: stable 0.00%" in end.why


def test_a_shadow_that_is_there_although_none_is_asked_for_is_left_at_once():
    world = World(Store(state().shadow(Note("ann", "by hand", NOW))))
    end, mirror = in_shadow(world, 1.0, shadow=0.0)
    assert (end.code, mirror.asked) == (ExitCode.PASS, 0)


def test_a_dead_candidate_is_out_within_two_scrapes():
    world = World(Store(), dies_at=20.0)
    end = auto(world).run()
    assert (end.code, actions(world.store)[-1]) == (ExitCode.FAIL, ("rollback", 0))
    assert world.now == pytest.approx(21.0)


def test_what_a_person_does_in_between_stands():
    world = World(Store())

    def step_in():
        if world.now > 15 and world.store.state.now.note.by == "auto":
            world.store.update(lambda s: s.rollback(Note("ann", "I do not like it", NOW)))

    world.each = step_in
    end = auto(world).run()
    assert end.code is ExitCode.INCONCLUSIVE
    assert "ann took over (rollback): I do not like it" in end.why
    assert world.store.state.now.note.by == "ann"


def test_undecided_stays_where_it_is_if_so_wished():
    # nobody comes: there is nothing to decide upon
    world = World(Store())
    world.read = lambda at, pages, ready: Scrape(at)
    end = auto(world, hold=30, undecided="stay").run()
    assert end.code is ExitCode.INCONCLUSIVE
    assert actions(world.store) == [("set", 1), ("hold", 1)]


def test_a_candidate_that_nobody_asks_is_taken_back_and_not_blamed():
    world = World(Store())
    world.read = lambda at, pages, ready: Scrape(at)
    end = auto(world, hold=90).run()
    assert end.code is ExitCode.INCONCLUSIVE
    assert "nobody came: 0 of 20 answers, none for 90 s" in end.why
    assert actions(world.store) == [("set", 1), ("rollback", 0)]


def test_feedback_that_stops_is_named_and_nobody_is_promoted():
    world = World(Store())
    read = world.read

    def without(at, pages, ready):
        scrape = read(at, pages, ready)
        return scrape._replace(counts={r: c._replace(judged=0, wrong=0) for r, c in scrape.counts.items()})

    world.read = without
    end = auto(world, hold=90).run()
    assert end.code is ExitCode.INCONCLUSIVE
    assert "no feedback for 90 s" in end.why


def test_a_gateway_that_does_not_obey_ends_it():
    class Deaf(Store):
        def update(self, change):
            raise LabError("the gateway did not take it over")

    with pytest.raises(LabError):
        auto(World(Deaf())).run()


def noted(*verbs):
    made = state()
    for verb, percent in verbs:
        made = made.set(percent, sign("why", "auto", {"decision": verb}))
    return made


@pytest.mark.parametrize(
    ("history", "position"),
    [
        (state(), Position(0, 0)),
        (noted(("step", 1), ("step", 10)), Position(10, 0)),
        (noted(("step", 10), ("pause", 0)), Position(0, 0, 1, paused=True)),
        (noted(("step", 10), ("pause", 0), ("step", 1)), Position(1, 0, 1)),
        (state().shadow(Note("auto", "", NOW)), Position(0, 0, shadow=True)),
        # a rollback ends what was counted
        (noted(("step", 10), ("pause", 0)).rollback(Note("ann", "", NOW)), Position(0, 0)),
    ],
)
def test_a_controller_that_comes_back_knows_where_it_was(history, position):
    assert resume(history) == position


def events(**world):
    seen = []

    class Keep:
        def show(self, event):
            seen.append(event)

    made = World(Store(), **world)
    auto(made, Keep()).run()
    return seen


def test_lines_are_json_one_a_scrape():
    seen, lines = events(dies_at=10.0), []
    for event in seen:
        Lines(lines.append).show(event)
    decisions = [json.loads(line)["decision"] for line in lines]
    assert decisions[0] == "step"
    assert decisions[-1] == "rollback"
    assert len(lines) == 11


def test_metrics_follow_and_are_served_on_loopback():
    metrics = Metrics()
    for event in events(dies_at=10.0):
        metrics.show(event)
    text = generate_latest(metrics.registry).decode()
    assert "loadproof_canary_split_percent 0.0" in text
    assert 'loadproof_canary_decisions_total{decision="rollback"} 1.0' in text
    assert 'loadproof_canary_alarm_evidence{gate="error_rate <= stable"}' in text
    assert 'loadproof_canary_interval{end="high",gate="error_rate <= stable"}' in text
    assert 'loadproof_canary_margin{gate="accuracy >= stable - 2pp"} 0.02' in text
    assert 'loadproof_canary_shown{gate="accuracy >= stable - 2pp"}' in text
    taken = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    with taken, pytest.raises(UsageError, match="--metrics-port"):
        metrics.serve(taken.server_port)


def test_a_local_labs_prometheus_is_told_of_the_metrics_while_they_are_served(tmp_path):
    metrics = Metrics()
    # before the first decision there is a zero for each
    assert 'decisions_total{decision="promote"} 0.0' in generate_latest(metrics.registry).decode()
    close = metrics.serve(0, tmp_path)
    ((target,),) = (entry["targets"] for entry in json.loads((tmp_path / "canary.json").read_text()))
    assert 'decisions_total{decision="promote"} 0.0' in get(f"http://{target}/metrics", timeout=60).body
    close()
    assert not (tmp_path / "canary.json").exists()


class Grafana(BaseHTTPRequestHandler):
    status = 200
    posted: list = []  # noqa: RUF012

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Grafana.posted.append((self.path, self.headers["authorization"], body))
        self.send_response(Grafana.status)
        self.end_headers()

    def log_message(self, *args):
        pass


@contextmanager
def grafana(status=200):
    Grafana.status, Grafana.posted = status, []
    with HTTPServer(("127.0.0.1", 0), Grafana) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def annotate(environment):
    said = []
    annotations = Annotations(environment, said.append, clock=lambda: 1000.5)
    for event in events(dies_at=10.0):
        annotations.show(event)
    annotations.close()
    return said


def test_decisions_are_annotations_in_grafana(monkeypatch):
    # an office's proxy does not lead to this machine
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with grafana() as url:
        assert annotate({"GRAFANA_URL": url, "GRAFANA_TOKEN": "secret"}) == []
    path, token, first = Grafana.posted[0]
    assert (path, token) == ("/api/annotations", "Bearer secret")
    assert first["time"] == 1_000_500
    assert first["tags"] == ["loadproof", "canary", "step"]
    assert Grafana.posted[-1][2]["tags"][-1] == "rollback"
    # holding is not an event that a chart needs
    assert len(Grafana.posted) < 6


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({}, "GRAFANA_URL and GRAFANA_TOKEN name none"),
        ({"GRAFANA_URL": "http://127.0.0.1:1"}, "takes no annotation (ConnectionError)"),
        # no URL
        ({"GRAFANA_URL": "http://[::1"}, "takes no annotation (ValueError)"),
    ],
)
def test_without_grafana_one_note_and_then_silence(environment, says):
    said = annotate(environment)
    assert len(said) == 1
    assert says in said[0]


def test_a_grafana_that_refuses_is_told_once_without_the_token():
    with grafana(status=401) as url:
        (line,) = annotate({"GRAFANA_URL": url, "GRAFANA_TOKEN": "secret"})
    assert "HTTP 401" in line
    assert "secret" not in line


@pytest.mark.parametrize("terminal", [True, False])
def test_the_display_keeps_every_decision_and_few_holds(terminal, capsys):
    console = Console(force_terminal=terminal, width=120, highlight=False)
    display = CanaryDisplay(console)
    for event in events(dies_at=40.0):
        display.show(event)
    display.close()
    out = capsys.readouterr().out
    assert "step" in out
    assert "did not pass 2 health checks" in out
    assert ("% of an alarm" in out) == terminal
