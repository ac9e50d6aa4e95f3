"""Runs of several deployments against a lab that is injected: what is joined, and what then decides."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadtest.data.samples import SampleSet
from loadtest.data.trace_context import TraceContext
from loadtest.errors import ServiceDied
from loadtest.experiment.experiment import Experiment
from loadtest.judge.traces import Traces
from loadtest.judge.verdict import Word
from loadtest.lab.interface import Version
from loadtest.workflows.stored_run import judge_run, open_run
from tests.loadtest.made_samples import Sample, sample_set
from tests.loadtest.workflows.test_compare import FILES, FakeLab, FakeLoad, run

SECONDS, RATE = 40, 50


class OneDeployment(FakeLoad):
    """The candidate is slower by what this deployment happens to cost it."""

    def __init__(self, job: Path, slower: float) -> None:
        super().__init__(job, 0.0, 0)
        self.slower = slower

    def wait(self) -> int:
        load = Experiment.load_file(str(self.job / "experiment.toml")).load
        assert load.restarts == 1
        rng = np.random.default_rng(load.seed)
        at = np.sort(rng.uniform(0, SECONDS, SECONDS * RATE))
        rows = rng.permutation(3000)[: len(at)]
        late = rng.lognormal(-4.6, 0.3, (len(load.roles), len(at)))
        late[1] += self.slower
        sample_set(
            Sample(int(row), version, t, t, t + took, 200, None, "a", True, None, 0)
            for t, row, each in zip(at.tolist(), rows, late.T.tolist(), strict=True)
            for version, took in zip(load.roles, each, strict=True)
        ).write(self.job / "samples.parquet")
        facts = {
            "resent": dict.fromkeys(load.roles, 1), "warmup_errors": dict.fromkeys(load.roles, 2),
            "offered_rps": 50.0, "achieved_rps": 50.0, "schedule_lag_ms_p99": 1.0,
            "duration_s": float(SECONDS), "valid": True, "reason": None, "run": f"run-{load.seed}",
        }  # fmt: skip
        (self.job / "load.json").write_text(json.dumps(facts))
        return 0


class Deployments(FakeLab):
    """A lab that is opened once a restart."""

    def __init__(self, slower: list[float], dies_at: int | None = None) -> None:
        super().__init__()
        self.slower, self.dies_at, self.orders = slower, dies_at, []

    def __call__(self, versions: tuple[Version, Version]) -> "Deployments":
        self.orders.append([version.role for version in versions])
        self.dies = len(self.orders) == self.dies_at
        return self

    def launch_load(self, job: Path) -> FakeLoad:
        self.load = OneDeployment(job, self.slower[len(self.orders) - 1])
        return self.load


@pytest.fixture
def experiment(tmp_path) -> Experiment:
    table = pa.table({"x": np.arange(3000.0), "label": ["a"] * 3000})
    pq.write_table(table, tmp_path / "rows.parquet")
    return Experiment.parse(
        {
            "name": "mine",
            "model": {"name": "mine", "folder": str(tmp_path)},
            "data": {"path": str(tmp_path / "rows.parquet")},
            "load": {"duration": SECONDS, "rate": RATE, "restarts": 4},
            "gates": ["p50 <= stable + 2ms", "error_rate <= stable + 0.5pp", "accuracy >= stable - 1pp"],
        },
        "test",
    )


def test_restarts_become_one_run_folder_that_is_judged_again_to_the_same_verdict(experiment, tmp_path):
    lab = Deployments([0.0, 0.0002, -0.0002, 0.0001])
    outcome = run(experiment, lab, tmp_path)
    assert {path.name for path in outcome.folder.iterdir()} == FILES
    # which version is started first alternates
    assert lab.orders == [["stable", "candidate"], ["candidate", "stable"]] * 2
    samples = SampleSet.read(outcome.folder / "samples.parquet")
    assert len(samples) == 4 * 2 * SECONDS * RATE
    assert SECONDS * 3.9 < samples.scheduled_at.max() < SECONDS * 4.1
    load = json.loads((outcome.folder / "load.json").read_text())
    assert [one["begins_s"] for one in load["restarts"]] == [0.0, 40.0, 80.0, 120.0]
    # each has its own rows
    order = np.argsort(samples.scheduled_at, kind="stable")
    assert not np.array_equal(samples.row[order][:4000], samples.row[order][4000:8000])
    verdict = outcome.verdict
    assert verdict.verdict is Word.PASS
    assert "over 4 restarts" in verdict.gates[0].reason
    assert "restarts" not in verdict.gates[2].reason
    assert verdict.versions["stable"].requests == 4 * SECONDS * RATE
    assert verdict.versions["stable"].throughput_rps == pytest.approx(RATE)
    assert judge_run(open_run(outcome.folder)) == verdict
    assert judge_run(open_run(outcome.folder), ["p50 <= stable + 0.05ms"]).verdict is Word.INCONCLUSIVE


def test_a_control_is_deployed_again_too(experiment, tmp_path):
    lab = Deployments([0.0, 0.0002, -0.0002])
    load = experiment.load.model_copy(update={"control": True, "restarts": 3})
    outcome = run(experiment.model_copy(update={"load": load}), lab, tmp_path)
    # each is the first to be started once
    assert lab.orders == [
        ["stable", "candidate", "control"],
        ["candidate", "control", "stable"],
        ["control", "stable", "candidate"],
    ]
    verdict = outcome.verdict
    assert verdict.verdict is Word.PASS
    assert [(gate.name, gate.beyond) for gate in verdict.control] == [(g.name, False) for g in verdict.gates]
    assert verdict.versions["control"].requests == 3 * SECONDS * RATE
    stored = json.loads((outcome.folder / "load.json").read_text())
    assert stored["resent"] == {"stable": 3, "candidate": 3, "control": 3}
    assert stored["warmup_errors"] == {"stable": 6, "candidate": 6, "control": 6}
    facts = json.loads((outcome.folder / "environment.json").read_text())["server_facts"]
    assert list(facts) == ["stable", "candidate", "control"]
    assert judge_run(open_run(outcome.folder)) == verdict


def test_samples_keep_the_traces_of_their_restart(experiment, tmp_path):
    lab = Deployments([0.0] * 4)
    traced = experiment.model_copy(update={"load": experiment.load.model_copy(update={"trace": True})})
    opened = open_run(run(traced, lab, tmp_path).folder)
    traces = Traces.of(opened.experiment.load, opened.facts.load, opened.samples)
    carried = set()
    for seed in range(experiment.load.seed, experiment.load.seed + 4):
        rng = np.random.default_rng(seed)
        at = np.sort(rng.uniform(0, SECONDS, SECONDS * RATE)).tolist()
        rows = rng.permutation(3000)[: len(at)].tolist()
        context = TraceContext(f"run-{seed}")
        carried |= {context.ids(0, row, t, role) for t, row in zip(at, rows, strict=True) for role in (0, 1)}
    assert {traces.ids(place) for place in range(len(opened.samples))} == carried


def test_what_differs_from_one_deployment_to_the_next_decides(experiment, tmp_path):
    # each run alone would swear that its deployment is 3 ms slower, or faster
    outcome = run(experiment, Deployments([0.004, -0.002, 0.003, -0.003]), tmp_path)
    gate = outcome.verdict.gates[0]
    assert gate.verdict is Word.INCONCLUSIVE
    assert "more restarts of this length would settle it" in gate.reason
    low, high = gate.interval
    assert high - low > 5
    # by hand: Student's t with 3 degrees of freedom over the estimates of each restart
    assert gate.estimate == pytest.approx(0.5, abs=0.3)


def test_rare_errors_are_not_excluded_because_no_restart_had_any(experiment, tmp_path):
    gate = run(experiment, Deployments([0.0] * 4), tmp_path).verdict.gates[1]
    assert gate.interval[1] > 0.01


def test_restarts_that_were_measured_are_kept_when_a_later_one_breaks(experiment, tmp_path):
    with pytest.raises(ServiceDied) as caught:
        run(experiment, Deployments([0.0] * 4, dies_at=3), tmp_path)
    (partial,) = (tmp_path / "results").iterdir()
    assert str(partial) in caught.value.__notes__[0]
    assert len(SampleSet.read(partial / "samples.parquet")) == 2 * 2 * SECONDS * RATE
    # what the third had sent until then
    assert (partial / "restart-3" / "samples.parquet").exists()
    assert judge_run(open_run(partial)).verdict in (Word.PASS, Word.INCONCLUSIVE)


def test_a_first_restart_that_breaks_keeps_its_samples_too(experiment, tmp_path):
    with pytest.raises(ServiceDied):
        run(experiment, Deployments([0.0] * 4, dies_at=1), tmp_path)
    (partial,) = (tmp_path / "results").iterdir()
    assert (partial / "restart-1" / "samples.parquet").exists()
