"""Two runs side by side: what is paired with what, and what each change reads as."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.judge.diff import diff_runs
from loadtest.judge.diff_lines import Change, Changes
from loadtest.judge.outcomes import Outcomes, one_row_each
from loadtest.judge.paired_outcomes import Evidence
from loadtest.judge.run import LoadFacts, Run, RunFacts, VersionFacts

ROWS, RATE = 4000, 50.0


@dataclass(frozen=True)
class Day:
    """A run on one day: its seed, the machine's slowness, and the candidate's slowness and accuracy."""

    seed: int = 1
    machine: float = 1.0
    candidate: float = 1.0
    accuracy: float = 0.8
    seconds: float = 60.0
    rate: float = RATE
    memory: int | None = 2**27
    labels: int = 0
    errors: float = 0.0

    def run(self) -> Run:
        rng = np.random.default_rng(self.seed)
        n = round(self.rate * self.seconds)
        at = np.sort(rng.uniform(0, self.seconds, n))
        row = rng.permutation(ROWS)[:n] if n <= ROWS else rng.integers(0, ROWS, n)
        noise = np.random.default_rng([self.seed, round(1000 * self.machine)])
        skill = np.random.default_rng(5).random(ROWS)
        sides = [
            self.outcomes(at, row, noise, self.machine, skill < 0.8),
            self.outcomes(at, row, noise, self.machine * self.candidate, skill < self.accuracy),
        ]
        document = {
            "name": "made-up",
            "model": {"name": "m", "folder": "m"},
            "data": {"path": "rows.parquet", "value": "value"},
            "load": {"rate": self.rate, "seed": self.seed},
        }
        labels = np.full(ROWS, str(self.labels))
        table = pa.table({"x": np.zeros(ROWS)})
        dataset = Dataset(
            Path("r"), np.arange(float(ROWS))[:, None], ("x",), labels, np.full(ROWS, 20.0), table
        )
        facts = VersionFacts(cpus=0.25, memory_bytes=self.memory)
        load = LoadFacts(offered_rps=self.rate, achieved_rps=self.rate, duration_s=self.seconds)
        run_facts = RunFacts(backend="local", load=load, versions={"stable": facts, "candidate": facts})
        return Run(
            Experiment.parse(document, "test"), dataset, run_facts, Evidence(*sides, True, 0, self.seconds)
        )

    def outcomes(self, at, row, noise, slowness, right) -> Outcomes:
        n = len(at)
        failed = noise.random(n) < self.errors
        return Outcomes(
            row=row.astype(np.int32),
            scheduled_at=at,
            latency=noise.lognormal(np.log(0.01 * slowness), 0.3, n),
            failed=failed,
            correct=right[row] & ~failed,
            mismatch=np.zeros(n, dtype=bool),
            compared=np.ones(n, dtype=bool),
            prediction=pa.array(["1"] * n),
            request_id=pa.nulls(n, pa.string()),
            baseline=pa.nulls(n, pa.string()),
            asked_before=np.full(n, -1, dtype=np.int8),
            scores=pa.nulls(n, pa.list_(pa.float32())),
            ranking=pa.nulls(n, pa.list_(pa.string())),
            size=one_row_each(n),
            outputs=pa.nulls(n, pa.list_(pa.float64())),
        )


def changes(before: Day, after: Day) -> Changes:
    found = diff_runs(before.run(), after.run())
    # neither NaN nor infinity is JSON
    json.loads(found.model_dump_json(by_alias=True), parse_constant=pytest.fail)
    return found


def line(found: Changes, role: str, metric: str) -> Change:
    (change,) = (c for c in found.changes if (c.role, c.metric) == (role, metric))
    return change


@pytest.mark.parametrize(
    ("after", "role", "metric", "reading", "estimate"),
    [
        # the same version on the same day
        (Day(), "candidate", "p95", "no change seen", 0),
        (Day(), "candidate", "accuracy", "no change seen", 0),
        # a newer candidate, slower and worse
        (Day(candidate=1.2, accuracy=0.75), "candidate", "p50", "slower", 20),
        (Day(candidate=1.2, accuracy=0.75), "candidate", "accuracy", "worse", -5),
        (Day(candidate=1.2, accuracy=0.75), "candidate", "value", "worse", -6),
        (Day(candidate=1.2, accuracy=0.75), "candidate against stable", "p95", "slower", 20),
        (Day(candidate=1.2, accuracy=0.75), "candidate against stable", "accuracy", "worse", -5),
        (Day(candidate=1.2, accuracy=0.75), "stable", "p50", "no change seen", 0),
        # a slower machine: both are slower, and the candidate no more than stable
        (Day(seed=2, machine=1.3), "stable", "p95", "slower", 30),
        (Day(seed=2, machine=1.3), "candidate", "p95", "slower", 30),
        (Day(seed=2, machine=1.3), "candidate against stable", "p95", "no change seen", 0),
        (Day(seed=2, machine=0.7), "candidate", "p50", "faster", -30),
        (Day(errors=0.02), "candidate", "error_rate", "worse", 2),
        (Day(accuracy=0.9), "candidate", "goodput", "better", 5),
        (Day(memory=2**28), "candidate", "memory", "higher", 100),
        (Day(), "candidate", "memory", "the same", 0),
        # what cannot be compared says so
        (Day(memory=None), "candidate", "memory", "not measured in both runs", None),
        (Day(rate=30.0), "stable", "goodput", "not comparable: other rates", None),
        (Day(labels=1), "candidate", "accuracy", "not comparable: other rows", None),
        (Day(seconds=10.0), "candidate", "p99", "a run is too short for time blocks", None),
    ],
)
def test_readings(after, role, metric, reading, estimate):
    change = line(changes(Day(), after), role, metric)
    assert change.reading == reading
    if estimate is None:
        assert change.estimate is None
        assert change.interval == (None, None)
    else:
        assert change.estimate == pytest.approx(estimate, abs=max(1.5, 0.12 * abs(estimate)))


def test_the_same_seed_is_paired_by_block_and_row_and_another_by_the_rows_in_both():
    same, other = changes(Day(), Day(candidate=1.1)), changes(Day(), Day(seed=2))
    assert same.same_arrivals
    assert same.conditions == ()
    assert line(same, "candidate", "p99").compared == "paired by time block"
    assert line(same, "candidate", "accuracy").compared == "paired by row, 3,000 rows in both"
    assert not other.same_arrivals
    assert other.conditions == ("seed: 1 before, 2 after",)
    assert line(other, "candidate", "p99").compared == "unpaired"
    shared = np.intersect1d(Day().run().evidence.stable.row, Day(seed=2).run().evidence.stable.row)
    assert line(other, "candidate", "accuracy").compared == f"paired by row, {len(shared):,} rows in both"


def test_conditions_name_every_difference():
    found = changes(Day(), Day(seed=3, rate=30.0, seconds=90.0, labels=1))
    assert found.conditions == (
        "arrivals per second: 50 before, 30 after",
        "seconds of load: 60 before, 90 after",
        "seed: 1 before, 3 after",
        "other evaluation sets: quality is not compared",
    )
    assert not [c for c in found.changes if c.role == "candidate against stable" and c.metric == "accuracy"]


def test_two_streams_of_a_canary_have_no_ratio_to_follow():
    before, after = Day().run(), Day().run()
    apart = replace(after.evidence, paired=False)
    found = diff_runs(before, replace(after, evidence=apart))
    assert line(found, "candidate against stable", "p99").reading.startswith("needs paired traffic")
