"""Every query of every dashboard, every metric and every exporter, against a live lab under load."""

import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import requests
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from loadtest.canary.decision import Decision, Position
from loadtest.canary.event import Event
from loadtest.canary.live_evidence import Alarm, Evidence, Interval, Proof
from loadtest.canary.shadow_summary import Shadow
from loadtest.data.dataset import Dataset
from loadtest.data.samples import SampleSet
from loadtest.experiment.experiment import Data
from loadtest.lab.interface import Version
from loadtest.lab.local.lab import LocalLab
from loadtest.workflows.canary_outputs import Metrics
from tests.integration.locust_process import free_port, until
from tests.integration.tiny_model import tiny

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not (shutil.which("prometheus") and shutil.which("promtool")),
        reason="prometheus and promtool are not on the PATH",
    ),
]

ROOT = Path(__file__).parents[2]
DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
EXPERIMENT = """
name = "pages"
gates = ["error_rate <= stable + 0.5pp", "p99 <= 250ms", "accuracy >= stable - 1pp"]
[model]
name = "tiny"
folder = "{models}/tiny"
[data]
path = "{models}/rows.parquet"
value = "value"
[load]
rate = 20
duration = "8s"
warmup = "0.5s"
# a busy machine is late and slow, which is not what is tested
max_lag = "5s"
timeout = "30s"
"""


def get(url, parameters=None):
    with requests.Session() as session:
        session.trust_env = False  # no proxy
        return session.get(url, params=parameters, timeout=60)


@dataclass
class Live:
    """A lab under load, and its Prometheus.

    Args:
        began: before the load, seconds since 1970.
        visits: what the users' answers say of who gave them.
    """

    prometheus: str
    exporters: dict[str, str]
    run: Path
    limited: bool
    began: float
    visits: Counter

    def ask(self, path, **parameters):
        """What Prometheus' API answers to a path and parameters."""
        answer = get(f"{self.prometheus}/api/v1/{path}", parameters)
        assert answer.ok, f"{path} {parameters}: {answer.text}"
        return answer.json()["data"]

    def query(self, expression):
        """Every value of an expression since the load began."""
        span = {"start": self.began, "end": time.time(), "step": 2}
        series = self.ask("query_range", query=expression, **span)["result"]
        return [float(value) for one in series for _, value in one["values"] if value != "NaN"]

    def label_values(self, metric, label):
        return self.ask(f"label/{label}/values", **{"match[]": metric})

    def resolve(self, expression):
        for name, value in (("$run", self.run.name), ("$shown", "stable|candidate"), ("$__range", "2m")):
            expression = expression.replace(name, value)
        assert "$" not in expression, expression
        return expression


def metrics_in_docs():
    """The metrics of the exporters: every name in the first column of the tables before the rules."""
    text = (ROOT / "docs" / "metrics.md").read_text().split("## Recording rules")[0]
    return set(re.findall(r"^\| `(\w+)` \|", text, re.M))


@contextmanager
def users(models, gateway, visits, token):
    """Users who are not pinned to a version, and what truly happened to them; counts who answered them."""
    data = Dataset.read(Data(path=models / "rows.parquet", value="value"))
    stop = threading.Event()

    def visit():
        with requests.Session() as session:
            session.trust_env = False  # no proxy
            for row in itertools.cycle(range(len(data))):
                if stop.wait(0.05):
                    return
                cells = [float(cell) for cell in data.typed_row(row)]
                body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": cells}]}
                answer = session.post(f"{gateway}/v2/models/tiny/infer", json=body, timeout=60)
                version = answer.headers["x-model-version"]
                visits[version] += 1
                session.post(
                    f"{gateway}/v2/models/tiny/feedback",
                    json={"id": answer.json()["id"], "label": data.labels[row].item()},
                    headers={"x-model-version": version, "x-feedback-token": token},
                    timeout=60,
                )

    thread = threading.Thread(target=visit)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def canary(port, state):
    """The metrics of a controller that holds, and decides what it is told."""
    metrics = Metrics()
    evidence = Evidence(
        at=0.0,
        answers=100,
        alarms=(Alarm("error_rate <= stable + 1pp", "nothing", 0.2, ""),),
        proofs=(Proof("accuracy >= stable - 2pp", (1.0, 0.5), ""),),
        misses={"stable": 0, "candidate": 0},
        ejected=False,
        silent={},
        shadow=Shadow(
            pairs=100,
            failed=1,
            unanswered=2,
            agreement=0.9,
            interval=(0.85, 0.95),
            judged=80,
            accuracy={"stable": 0.78, "candidate": 0.8},
            latency={"stable": (0.01, 0.02, 0.03), "candidate": (0.01, 0.02, 0.04)},
        ),
        intervals=(
            Interval("error_rate <= stable + 1pp", -0.01, 0.005, 0.01),
            Interval("accuracy >= stable - 2pp", -0.03, 0.01, 0.02),
            Interval("p99 <= 250ms", -0.01, 0.002, 0.0),
        ),
    )

    def decide(verb, split):
        metrics.show(Event(0.0, Decision(verb, split, ""), Position(10.0, 0.0), evidence))

    close = metrics.serve(port, state)
    try:
        decide("hold", 10.0)
        yield decide
    finally:
        close()


@contextmanager
def locust(folder, models, host, port, targets):
    """Locust with its web UI."""
    experiment = folder / "pages.toml"
    experiment.write_text(EXPERIMENT.format(models=models))
    options = ["--web-host", "127.0.0.1", "--web-port", str(port), "--host", host]
    command = [sys.executable, "-m", "locust", "-f", "loadtest/load/locustfile.py", *options]
    environment = {
        "LOADPROOF_EXPERIMENT": str(experiment),
        "LOADPROOF_RESULTS": str(folder / "results"),
        "LOADPROOF_TARGETS": str(targets),
    }
    with (folder / "locust.log").open("w") as log:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(120)


@contextmanager
def control(port, run):
    """What a load generator exports of a control beside its run: a lab that stays up deploys stable once."""
    registry = CollectorRegistry()
    gauge = Gauge(
        "loadproof_gate_control", "Of a control.", ["run", "gate", "unit", "value"], registry=registry
    )
    for value, number in (("low", -1.0), ("estimate", 0.0), ("high", 2.0)):
        gauge.labels(run, "p99 <= 250ms", "ms", value).set(number)
    server, thread = start_http_server(port, "127.0.0.1", registry)
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    folder, models = tmp_path_factory.mktemp("pages"), tmp_path_factory.mktemp("models")
    tiny(models)
    rows = pq.read_table(models / "rows.parquet")
    pq.write_table(rows.append_column("value", rows["a"]), models / "rows.parquet")
    versions = tuple(
        Version(role, models / "tiny" / name, 0.25, 2**29)
        for role, name in (("stable", "v1"), ("candidate", "b-shy"))
    )
    port, controller, control_port, visits = free_port(), free_port(), free_port(), Counter()
    with (
        socket.socket() as nobody,
        LocalLab(versions, folder / "lab", "tiny", gateway_port=0, percent=25) as lab,
    ):
        # one target is down, so that there is an alert to be seen: a port that is taken, and does not listen
        nobody.bind(("127.0.0.1", 0))
        ports = (port, nobody.getsockname()[1], control_port)
        targets = [{"targets": [f"127.0.0.1:{number}" for number in ports]}]
        (folder / "lab" / "routes" / "load.json").write_text(json.dumps(targets))
        url = lab.endpoints.gateway
        with (
            locust(folder, models, url, port, folder / "lab" / "routes" / "targets.json") as pages,
            users(models, url, visits, lab.feedback_token),
            canary(controller, folder / "lab" / "routes") as decide,
        ):
            until(lambda: get(pages).ok)
            began = time.time()
            with requests.Session() as session:
                session.trust_env = False  # no proxy
                assert session.post(f"{pages}/swarm", data={}, timeout=60).json()["success"]
            run = until(lambda: next((folder / "results").glob("2*/verdict.json"), None)).parent
            live = Live(
                lab.endpoints.prometheus,
                {
                    "stable": f"{lab.endpoints.stable}/metrics",
                    "candidate": f"{lab.endpoints.candidate}/metrics",
                    "gateway": f"{lab.endpoints.stats}/stats/prometheus",
                    "load": f"{pages}/metrics",
                    "canary": f"http://127.0.0.1:{controller}/metrics",
                    "prometheus": f"{lab.endpoints.prometheus}/metrics",
                },
                run,
                lab.enforced_cpus("stable") is not None,
                began,
                visits,
            )
            until(lambda: live.query(f'loadproof_verdict{{run="{run.name}"}}'))
            step = 'increase(loadproof_canary_decisions_total{decision="step"}[6s]) > 0'
            # again, where Prometheus on a busy machine missed it
            until(lambda: decide("step", 25.0) or live.query(step))
            until(lambda: live.query('ALERTS{alertstate="firing", alertname="ServiceDown"}'))
            with control(control_port, run.name):
                until(lambda: live.query("loadproof_gate_control"))
                yield live


def queries():
    for path in DASHBOARDS:
        page = json.loads(path.read_text())
        for panel in page["panels"]:
            for target in panel.get("targets", []):
                yield pytest.param(target["expr"], id=f"{path.stem}-{panel['title']}-{target['refId']}")
        for mark in page["annotations"]["list"]:
            if mark["datasource"]["type"] == "grafana":
                continue  # what was posted to Grafana itself: no query
            yield pytest.param(mark["expr"], id=f"{path.stem}-annotation-{mark['name']}")


@pytest.mark.parametrize("expression", list(queries()))
def test_every_query_returns_data(live, expression):
    if not live.limited and re.search("throttled|cpu_limit", expression):
        pytest.skip("no CPU limit can be had on this machine")
    if "absolute_error" in expression:
        pytest.skip("a classification has no absolute error")
    if "mismatches:ratio" in expression and not max(live.query("loadproof_client_compared_total")):
        pytest.skip("no answer was given without load")
    assert live.query(live.resolve(expression)), expression


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_variable_has_values(live, path):
    seen = {}
    for variable in json.loads(path.read_text())["templating"]["list"]:
        metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).groups()
        seen[variable["name"]] = live.label_values(live.resolve(metric), label)
    assert seen["run"] == [live.run.name]
    assert seen["pages"] == [live.exporters["load"].removesuffix("/metrics")]
    assert seen.get("shown", ["candidate", "stable"]) == ["candidate", "stable"]


def test_what_prometheus_counts_is_what_was_recorded(live):
    samples = SampleSet.read(live.run / "samples.parquet")
    assert len(samples) > 100
    for role in ("stable", "candidate"):
        mine, matcher = samples.of(role), f'{{run="{live.run.name}", role="{role}"}}'
        assert live.query(f"loadproof_client_requests_total{matcher}")[-1] == len(mine)
        assert live.query(f"loadproof_client_correct_total{matcher}")[-1] == mine.correct.sum()
        within = live.query(f'loadproof_client_latency_seconds_bucket{matcher[:-1]}, le="0.1"}}')[-1]
        assert within == (mine.latency <= 0.1).sum()
    verdict = json.loads((live.run / "verdict.json").read_text())
    assert live.query(f'loadproof_verdict{{verdict="{verdict["verdict"]}"}}')[-1] == 1
    assert {seen["cpus"] for seen in verdict["versions"].values()} == {0.25 if live.limited else None}


def test_the_split_in_prometheus_is_the_one_that_the_users_met(live):
    completed = "envoy_cluster_unpinned_upstream_rq_completed"

    def counted(clusters):
        return max(live.query(f'sum({completed}{{envoy_cluster_name=~"{clusters}"}})'))

    # a quarter, give or take chance
    until(lambda: live.visits.total() > 400)
    assert 0.1 < live.visits["candidate"] / live.visits.total() < 0.4
    for version, clusters in (("candidate", "canary.*"), ("stable", "(repeated|fallback).*")):
        met = live.visits[version]
        until(lambda: counted(clusters) >= met)  # noqa: B023 - it is called at once
        # and the one that is under way
        assert counted(clusters) <= live.visits[version] + 1
    assert 0 < live.query("loadproof:split:ratio_rate1m")[-1] < 1


def test_promtool_finds_nothing_in_any_exporter(live):
    for name, url in live.exporters.items():
        page = get(url).content
        check = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
        said = (check.stdout + check.stderr).decode().splitlines()
        if name == "gateway":
            # Envoy names its own metrics: without help texts, and counters without _total. Nothing else.
            said = [line for line in said if not re.search('no help text|should have "_total" suffix', line)]
        assert said == [], name


def test_every_metric_is_documented_and_every_documented_one_exists(live):
    answer = live.ask("label/__name__/values")
    # Prometheus' own of every target, and what rules make
    own = {name for name in answer if not re.search("^(up|scrape_|ALERTS)|:", name)}
    types = live.ask("targets/metadata")
    whole = {row["metric"] for row in types if row["type"] in ("histogram", "summary")}
    parts = {name: re.sub("_(bucket|sum|count)$", "", name) for name in own}
    seen = {part if part in whole else name for name, part in parts.items()}
    documented = metrics_in_docs()
    assert seen - documented == set()
    # without a CPU limit it has no such metrics, nor a classification absolute errors
    absent = {"loadproof_feedback_absolute_error"} | (
        set() if live.limited else {name for name in documented if name.startswith("loadproof_cpu_")}
    )
    assert documented - seen - absent == set()
