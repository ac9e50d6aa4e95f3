"""The flow against an injected lab: what is written, and what happens when a part fails."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import ExitCode, LabError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES
from loadtest.judge.verdict import Word
from loadtest.lab.interface import Endpoints, require_cpus
from loadtest.workflows.capacity import Questions, capacity
from loadtest.workflows.prepare import Ready
from tests.loadtest.made_samples import Sample, sample_set


class FakeLoad:
    """A trial at the rate of its job: beyond the capacity of the version, late answers pile up; beyond
    ``mixes`` requests a second one answer in 50 is somebody else's."""

    def __init__(self, job, capacity, valid, mixes):
        self.job, self.capacity, self.valid, self.stopped = job, capacity, valid, False
        self.mixes = mixes

    def lines(self):
        experiment = Experiment.load_file(str(self.job / "experiment.toml"))
        self.rows = pq.read_table(experiment.data.path).num_rows
        load = self.load = experiment.load
        backlog = max(0.0, load.rate - 1.3 * self.capacity[load.traffic])
        yield "not a report"
        for second in range(1, 4):
            sent = int(load.rate * second)
            yield json.dumps(
                {"elapsed": float(second), "sent": sent, "done": int(sent - 3 * backlog * second)}
            )

    def stop(self):
        self.stopped = True

    def wait(self):
        load = self.load
        rng = np.random.default_rng(load.seed)
        count = max(int(load.rate * load.duration), 1)
        share = min(0.01 * (load.rate / self.capacity[load.traffic]) ** 20, 0.9)
        known = True if load.baseline_time else None
        sample_set(
            Sample(
                i % self.rows,
                load.traffic,
                at,
                at,
                at + (0.5 if late else 0.01),
                200,
                None,
                "0" if load.rate > self.mixes and i % 50 == 0 else "1",
                True,
                known,
                0,
            )
            for i, (at, late) in enumerate(
                zip(np.sort(rng.uniform(0, load.duration, count)), rng.random(count) < share, strict=True)
            )
        ).write(self.job / "samples.parquet")
        (self.job / "load.json").write_text(
            json.dumps({"valid": self.valid, "reason": None if self.valid else "it was 80 ms late"})
        )
        return ExitCode.PASS if self.valid else ExitCode.INVALID


class FakeLab:
    """Both versions scale with their CPU limit."""

    endpoints = Endpoints("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")

    def __init__(self, per_cpu=None, late=(), enforces=True, mixes=np.inf, backend="local"):
        self.backend = backend
        self.late, self.trials = late, 0  # numbers of the trials in which the generator fell behind
        self.per_cpu = per_cpu or {"stable": 400.0, "candidate": 400.0}
        self.enforces, self.mixes = enforces, mixes
        self.cpus = dict.fromkeys(self.per_cpu, 0.5)
        self.recovered = []

    def __call__(self, versions):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def set_cpus(self, role, cpus):
        self.cpus[role] = cpus if self.enforces else 0.5
        require_cpus(role, cpus, self.cpus[role])

    def enforced_cpus(self, role):
        return self.cpus[role]

    def launch_load(self, job):
        self.trials += 1
        capacity = {role: rate * self.cpus[role] for role, rate in self.per_cpu.items()}
        return FakeLoad(job, capacity, self.trials not in self.late, self.mixes)

    def check(self):
        pass

    def environment(self):
        return {"backend": self.backend}


class Steps(list):
    step = list.append


@pytest.fixture
def run(tmp_path):
    """``run(lab, gates=[...])``: the outcome of a search, and capacity.json."""
    data = tmp_path / "evaluation.parquet"
    pq.write_table(pa.table({"x": np.arange(10.0), "label": ["1"] * 10}), data)

    def make(lab, gates=(), questions=None, **settings):
        make.steps = Steps()
        experiment = Experiment.model_validate(
            {
                "name": "known",
                "model": {"name": "m", "folder": "m"},
                "data": {"path": data},
                "capacity": {"gates": list(gates), "trial": "4s"} | settings,
            }
        )
        outcome = capacity(
            Ready(experiment, Dataset.read(experiment.data), (None, None), lab),
            tmp_path / "results",
            make.steps,
            questions or Questions(),
            # the double answers at once: nothing has to be waited for
            lambda lab, _, role: lab.recovered.append(role),
        )
        return outcome, json.loads((outcome.folder / "capacity.json").read_text())

    return make


def test_a_sweep_gives_the_curve_its_cost_and_the_cheapest_limit(run):
    questions = Questions((0.25, 0.5), price=0.04, at_rate=150.0)
    lab = FakeLab()
    outcome, content = run(lab, ["capacity >= stable - 10%"], questions)
    points = content["versions"]["candidate"]
    assert [p["cpus"] for p in points] == [0.25, 0.5]
    assert [p["capacity"] for p in points] == [pytest.approx(100, rel=0.06), pytest.approx(200, rel=0.06)]
    assert points[1]["cost_per_million"] == pytest.approx(0.04 * 0.5 / 3600 / points[1]["capacity"] * 1e6)
    assert content["cheapest"] == {"stable": 0.5, "candidate": 0.5}
    assert [gate["name"] for gate in content["gates"]] == ["capacity >= stable - 10%"] * 2
    assert content["verdict"] == outcome.report.verdict in (Word.PASS, Word.INCONCLUSIVE)
    # every trial is kept, with its samples, and both versions took turns
    trials = content["trials"]
    assert [t["role"] for t in trials[:4]] == ["stable", "candidate", "stable", "candidate"]
    assert len(list((outcome.folder / "trials").glob("*/samples.parquet"))) == len(trials)
    # an overloaded version recovers before the next trial
    overloaded = [t["role"] for t in trials if t["overloaded"]]
    assert overloaded
    assert lab.recovered == overloaded
    page = (outcome.folder / "capacity.html").read_text()
    assert "<svg" in page
    assert "http://" not in page.replace("http://127.0.0.1", "")


def test_two_servers_by_their_urls_have_a_capacity_too_though_no_known_limit(run):
    lab = FakeLab(backend="urls")
    lab.enforced_cpus = lambda role: None
    _, content = run(lab, questions=Questions(price=0.04, at_rate=50.0))
    assert content["backend"] == "urls"
    for (point,) in content["versions"].values():
        assert point["capacity"] == pytest.approx(200, rel=0.06)
        assert (point["cpus"], point["cost_per_million"]) == (None, None)


def test_a_candidate_that_bears_half_fails_its_gate(run):
    outcome, _ = run(FakeLab({"stable": 400.0, "candidate": 200.0}), ["capacity >= stable - 10%"])
    assert outcome.report.verdict is Word.FAIL
    assert outcome.report.gates[0].estimate == pytest.approx(-50, abs=6)


def test_a_rate_at_which_answers_are_mixed_up_does_not_meet_the_objective(run):
    """Held against what the first trial, at 50/s, showed to be the answers to the rows without load."""
    _, content = run(FakeLab(mixes=110.0))
    for version in ("stable", "candidate"):
        assert content["versions"][version][0]["capacity"] == pytest.approx(
            100, rel=0.1
        )  # at a sharp edge: too low
    for trial in content["trials"]:
        mixed = trial["rate"] > 110
        assert (trial["mismatches"] > 0) == mixed
        assert trial["failed"] == trial["mismatches"]


def test_a_generator_that_is_too_slow_is_invalid(run):
    outcome, content = run(FakeLab(late=range(1, 4)))
    assert outcome.report.verdict is Word.INVALID
    assert "the load generator: stable at 50 requests/s: it was 80 ms late" in outcome.report.reason
    assert {t["problem"] for t in content["trials"]} == {"it was 80 ms late"}


def test_a_trial_in_which_the_generator_fell_behind_is_measured_again_and_said(run):
    outcome, _ = run(FakeLab(late=[2]))
    assert outcome.report.verdict is Word.PASS
    assert [step for step in run.steps if "no evidence" in step] == [
        "candidate on 0.5 CPUs: 50/s is no evidence: it was 80 ms late, so this trial is measured again"
    ]


def test_an_invalid_search_keeps_what_it_found_until_then(run):
    outcome, _ = run(FakeLab(late=range(11, 14)))
    assert outcome.report.verdict is Word.INVALID
    for role in ROLES:
        (known,) = outcome.report.versions[role]
        assert known.trials >= 5
        assert known.capacity > 50


def test_a_limit_that_is_not_in_force_ends_the_search(run):
    with pytest.raises(LabError, match=r"stable was to get 0.25 CPUs, in force is 0.5"):
        run(FakeLab(enforces=False), questions=Questions((0.25,)))


def test_servers_that_already_run_have_a_capacity_too(run):
    lab = FakeLab()
    lab.backend = "urls"
    _, content = run(lab)
    assert content["backend"] == "urls"
    assert content["versions"]["stable"][0]["capacity"] == pytest.approx(200, rel=0.06)
