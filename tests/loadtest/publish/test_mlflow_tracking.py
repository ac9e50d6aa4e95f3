"""Against a client that keeps what it is told; `test_a_real_server` needs MLflow itself."""

import re
import threading
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from loadtest.errors import TargetError, UsageError
from loadtest.judge.verdict import Word
from loadtest.publish.mlflow_tracking import MlflowTracking, OnPass, metrics, params
from loadtest.publish.stored_verdict import read_verdict
from tests.loadtest.publish.conftest import made_verdict


class Metric(NamedTuple):
    key: str
    value: float
    timestamp: int
    step: int


class Pair(NamedTuple):
    key: str
    value: Any


ENTITIES = SimpleNamespace(Metric=Metric, Param=Pair, RunTag=Pair)
KEY = re.compile(r"[A-Za-z0-9_\-./ ]{1,250}")
"""What MLflow takes as the key of a metric or a parameter."""


class Client:
    """A tracking server in memory, of the calls that are made."""

    def __init__(self, registered=("1",), breaks=None):
        self.experiments, self.runs, self.files = {}, {}, []
        self.registered, self.aliases, self.version_tags, self.breaks = registered, {}, {}, breaks

    def get_experiment_by_name(self, name):
        if self.breaks:
            raise self.breaks
        found = self.experiments.get(name)
        return found and SimpleNamespace(experiment_id=found)

    def create_experiment(self, name):
        self.experiments[name] = str(len(self.experiments) + 1)
        return self.experiments[name]

    def search_runs(self, ids, filter_string, max_results):
        wanted = dict(re.findall(r"tags\.`([^`]+)` = '([^']*)'", filter_string))
        assert len(wanted) == 2
        return [run for run in self.runs.values() if wanted.items() <= run.tags.items()][:max_results]

    def create_run(self, experiment_id, start_time, tags, run_name):
        info = SimpleNamespace(run_id=f"run-{len(self.runs)}", start_time=start_time)
        self.runs[info.run_id] = SimpleNamespace(
            info=info, tags=dict(tags), metrics={}, params={}, name=run_name, end=None
        )
        return self.runs[info.run_id]

    def log_batch(self, run_id, metrics=(), params=(), tags=()):
        run = self.runs[run_id]
        assert len(metrics) <= 1000
        assert len(params) <= 100
        run.metrics |= {one.key: one.value for one in metrics}
        for one in params:
            assert run.params.setdefault(one.key, one.value) == one.value, "parameters never change"
        run.tags |= dict(tags)

    def log_artifact(self, run_id, path):
        self.files.append(path.rpartition("/")[2])

    def set_terminated(self, run_id, status, end_time):
        self.runs[run_id].end = (status, end_time)

    def set_registered_model_alias(self, model, alias, version):
        if version not in self.registered:
            raise LookupError(f"no version {version} at http://u:p@registry/api")
        self.aliases[model, alias] = version

    def set_model_version_tag(self, model, version, name, value):
        self.version_tags[model, version, name] = value


def tracking(client, *on_pass, patience=60.0):
    return MlflowTracking(client, ENTITIES, on_pass=[OnPass.parse(one) for one in on_pass], patience=patience)


def test_what_is_logged(store):
    client = Client()
    tracking(client).deliver(read_verdict(store()))
    (run,) = client.runs.values()
    assert client.experiments == {"loadproof": "1"}
    assert run.name == "20260101T000000Z-compare"
    assert (run.info.start_time, run.end) == (1767225600000, ("FINISHED", 1767225660000))
    assert client.files == ["report.html", "verdict.json"]
    assert run.tags["loadproof.verdict"] == "PASS"
    assert run.tags["loadproof.gate.02"] == "PASS accuracy[plan=a/b] >= stable - 1pp"
    assert run.metrics["p95.lower"] == 1.0
    # two gates on one metric; without an estimate there is none, never zero
    assert run.metrics["p95.2.margin"] == 10.0
    assert "p95.2.estimate" not in run.metrics
    assert run.metrics["accuracy.plan.a_b.lower"] == -0.9
    assert "accuracy.plan.a_b.upper" not in run.metrics
    assert run.metrics["candidate/p99_ms"] == 80.0
    assert run.params["load.traffic"] == "duet"
    assert all(KEY.fullmatch(key) for key in (*run.metrics, *run.params))


def test_several_rates_have_metrics_of_their_own(store):
    found = metrics(read_verdict(store(rates=(20, 100.5))))
    assert {key.partition("/")[0] for key in found} == {"rate_20", "rate_100.5"}
    assert found["rate_100.5/p95.upper"] == 3.0


def test_a_verdict_is_logged_once_and_a_new_one_beside_it(store):
    client, folder = Client(), store()
    tracking(client).deliver(read_verdict(folder))
    tracking(client).deliver(read_verdict(folder))
    assert len(client.runs) == 1
    (folder / "verdict.json").write_text(made_verdict(reason="by other gates").model_dump_json())
    tracking(client).deliver(read_verdict(folder))
    assert len(client.runs) == 2


def test_parameters_hold_no_secret(store):
    target = {
        "stable": "https://models.example/v1?key=sesame",
        "candidate": "https://models.example/v2",
        "headers": ["Authorization: env:SESAME"],
    }
    found = params(read_verdict(store(target=target)))
    assert found["target.stable"] == "https://models.example"
    assert "sesame" not in str(found).lower()


@pytest.mark.parametrize("word", Word)
def test_only_pass_names_a_version(store, word):
    client = Client()
    stored = read_verdict(store(verdict=made_verdict(word)))
    said = tracking(client, "champion@models:/fraud/1", "checked=yes@models:/fraud/1").deliver(stored)
    passed = word is Word.PASS
    assert client.aliases == ({("fraud", "champion"): "1"} if passed else {})
    assert client.version_tags == ({("fraud", "1", "checked"): "yes"} if passed else {})
    assert ("no version gets" in said) != passed


def test_a_version_that_is_not_registered_is_said_after_all_is_logged(store):
    client = Client()
    with pytest.raises(
        TargetError, match="run run-0 is logged, but not champion@models:/fraud/7: Lookup"
    ) as e:
        tracking(client, "champion@models:/fraud/7").deliver(read_verdict(store()))
    assert client.files
    assert str(e.value).endswith("no version 7 at http://registry")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            ConnectionError("http://u:p@mlflow:5000/api/2.0 refuses\nto connect"),
            "http://mlflow:5000 refuses to",
        ),
        # a library that ends the process
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_a_server_that_is_away(store, error, says):
    with pytest.raises(TargetError, match=says):
        tracking(Client(breaks=error)).deliver(read_verdict(store()))


def test_a_server_that_hangs_is_given_up(store):
    hangs = threading.Event()
    client = SimpleNamespace(get_experiment_by_name=lambda _: hangs.wait(60))
    with pytest.raises(TargetError, match=r"MLflow did not answer within 0\.01 s"):
        tracking(client, patience=0.01).deliver(read_verdict(store()))
    hangs.set()


@pytest.mark.parametrize(
    "text",
    [
        "champion",
        "champion@fraud/3",
        "champion@models:/fraud",
        "champion@models:/fraud@old",
        "a b@models:/f/1",
    ],
)
def test_on_pass_that_cannot_be_read(text):
    with pytest.raises(UsageError, match="write ALIAS@models:/NAME/VERSION"):
        OnPass.parse(text)


def test_on_pass_reads_back():
    for text in ("champion@models:/my model/3", "checked=yes, by us@models:/fraud/12"):
        assert str(OnPass.parse(text)) == text


def test_no_server_is_named():
    with pytest.raises(UsageError, match="MLFLOW_TRACKING_URI is not set"):
        MlflowTracking.from_environment(environment={})


@pytest.mark.skipif(find_spec("mlflow") is not None, reason="MLflow is installed")
def test_mlflow_is_not_installed():
    with pytest.raises(UsageError, match="pip install mlflow-skinny"):
        MlflowTracking.from_environment(environment={"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"})


@pytest.mark.skipif(
    not (find_spec("mlflow") and find_spec("sqlalchemy")), reason="MLflow is not installed with its database"
)
def test_a_real_server(store, tmp_path):
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    real = MlflowTracking.from_environment(environment={"MLFLOW_TRACKING_URI": uri})
    client = MlflowClient(uri)
    client.create_experiment("loadproof", artifact_location=str(tmp_path / "artefacts"))
    real.deliver(read_verdict(store()))
    (run,) = client.search_runs([client.get_experiment_by_name("loadproof").experiment_id])
    assert run.data.tags["loadproof.verdict"] == "PASS"
    assert run.data.metrics["p95.upper"] == 3.0
