"""The main job against a lab that is injected: what is written, and what happens when a part breaks."""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadtest.data.dataset import Dataset
from loadtest.data.samples import SampleSet
from loadtest.errors import DatasetError, LabError, LoadproofError, ServiceDied, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.judge.live_view import LiveView
from loadtest.judge.verdict import Word
from loadtest.lab.cpu_usage import CpuUsage
from loadtest.lab.interface import Endpoints, Version
from loadtest.workflows.compare import compare
from loadtest.workflows.prepare import Ready
from loadtest.workflows.stored_run import judge_run, open_run, write_reports
from tests.loadtest.made_samples import Sample, sample_set

FILES = {
    "experiment.toml", "environment.json", "load.json", "samples.parquet", "samples.parquet.sha256",
    "verdict.json", "junit.xml", "summary.md", "report.html",
}  # fmt: skip


class FakeLoad:
    """A load generator that has already measured: the candidate answers a share of rows wrong."""

    def __init__(self, job: Path, wrong: float, code: int) -> None:
        self.job, self.wrong, self.code, self.stopped = job, wrong, code, False

    def lines(self) -> Iterator[str]:
        yield json.dumps({"elapsed": 1.0, "done": 10})
        yield "not a report"

    def stop(self) -> None:
        self.stopped = True

    def wait(self) -> int:
        rng = np.random.default_rng(1)
        experiment = Experiment.load_file(str(self.job / "experiment.toml"))
        assert experiment.data.path.is_absolute()
        times = np.sort(rng.uniform(0, 60, 3000))
        sample_set(
            Sample(
                row, version, at, at, at + latency, 200, None, "a", version == "stable" or not bad, None, 0
            )
            for row, (at, bad) in enumerate(zip(times, rng.random(3000) < self.wrong, strict=True))
            for version, latency in (("stable", 0.005), ("candidate", 0.006))
        ).write(self.job / "samples.parquet")
        rows = experiment.data.path
        facts = {
            "offered_rps": 50.0, "achieved_rps": 50.0, "schedule_lag_ms_p99": 1.0, "duration_s": 60.0,
            "valid": True, "reason": "", "warmup_requests": {"stable": 0, "candidate": 0}, "workers": 1,
            "evaluation_sha256": hashlib.sha256(rows.read_bytes()).hexdigest() if rows.exists() else None,
        }  # fmt: skip
        (self.job / "load.json").write_text(json.dumps(facts))
        return self.code


class FakeLab:
    backend = "local"
    endpoints = Endpoints("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")

    def __init__(self, wrong: float = 0.0, code: int = 0, dies: bool = False) -> None:
        self.wrong, self.code, self.dies, self.open, self.periods = wrong, code, dies, False, 0

    def __call__(self, versions: tuple[Version, Version]) -> "FakeLab":
        self.versions = versions
        return self

    def __enter__(self) -> Self:
        self.open = True
        return self

    def __exit__(self, *exc: object) -> None:
        self.open = False

    def enforced_cpus(self, role: str) -> float | None:
        return 0.25 if role == "stable" else None

    def cpu_usage(self, role: str) -> CpuUsage | None:
        self.periods += 100
        return CpuUsage(self.periods, self.periods // 4) if role == "stable" else None

    def launch_load(self, job: Path) -> FakeLoad:
        self.load = FakeLoad(job, self.wrong, self.code)
        return self.load

    def check(self) -> None:
        if self.dies:
            raise ServiceDied("candidate ended with code 137", ["Killed"])

    def environment(self) -> dict[str, object]:
        return {"backend": "local"}


class Quiet:
    def __init__(self) -> None:
        self.steps: list[str] = []

    def step(self, text: str) -> None:
        self.steps.append(text)

    def tick(self, event: dict[str, object], view: LiveView | None) -> None:
        assert event["done"] == 10


@pytest.fixture
def experiment(tmp_path) -> Experiment:
    table = pa.table({"x": np.arange(3000.0), "label": ["a"] * 3000})
    pq.write_table(table, tmp_path / "rows.parquet")
    return Experiment.parse(
        {
            "name": "mine",
            "model": {"name": "mine", "folder": str(tmp_path)},
            "data": {"path": str(tmp_path / "rows.parquet")},
            "gates": ["p99 <= 250ms", "accuracy >= stable - 1pp"],
        },
        "test",
    )


def run(experiment, lab, tmp_path, progress=None):
    versions = tuple(Version(role, tmp_path, 0.25, None) for role in experiment.roles)
    ready = Ready(experiment, Dataset.read(experiment.data), versions, lab)
    return compare(ready, tmp_path / "results", progress or Quiet())


@pytest.mark.parametrize(("wrong", "word"), [(0.0, Word.PASS), (0.05, Word.FAIL)])
def test_a_run_is_written_whole_and_the_lab_is_stopped(experiment, tmp_path, wrong, word):
    lab = FakeLab(wrong)
    outcome = run(experiment, lab, tmp_path)
    assert outcome.verdict.verdict is word
    assert {path.name for path in outcome.folder.iterdir()} == FILES
    assert not lab.open
    assert lab.load.stopped
    verdict = json.loads((outcome.folder / "verdict.json").read_text())
    assert verdict["versions"]["stable"]["cpu_throttled_ratio"] == pytest.approx(0.25)
    # never pretend: where no limit is in force, none is reported
    assert verdict["versions"]["candidate"]["cpus"] is None
    assert verdict["versions"]["candidate"]["cpu_throttled_ratio"] is None
    assert verdict["versions"]["candidate"]["memory_bytes"] is None


@pytest.mark.parametrize("place", ["run", "results"])
def test_the_evaluation_set_of_a_run_from_elsewhere_is_copied_to_it(experiment, tmp_path, place):
    outcome = run(experiment, FakeLab(), tmp_path)
    rows = experiment.data.path.rename(tmp_path / "moved")
    with pytest.raises(UsageError, match=r"set is not on this machine; copy it to .*/results/rows\.parquet$"):
        open_run(outcome.folder)
    copied = (outcome.folder if place == "run" else outcome.folder.parent) / "rows.parquet"
    copied.write_bytes(rows.read_bytes())
    assert judge_run(open_run(outcome.folder)) == outcome.verdict
    # as many rows, and others
    pq.write_table(pa.table({"x": np.zeros(3000), "label": ["a"] * 3000}), copied)
    with pytest.raises(DatasetError, match=r"rows\.parquet: not the run's evaluation set"):
        open_run(outcome.folder)


def test_an_evaluation_set_that_changed_where_it_was_is_refused(experiment, tmp_path):
    outcome = run(experiment, FakeLab(), tmp_path)
    rows = experiment.data.path
    measured = rows.read_bytes()
    pq.write_table(pa.table({"x": np.zeros(3000), "label": ["a"] * 3000}), rows)
    with pytest.raises(
        DatasetError, match=r"not the run's evaluation set .* copy that one to .*/results/rows"
    ):
        open_run(outcome.folder)
    # the remedy
    (outcome.folder.parent / "rows.parquet").write_bytes(measured)
    assert judge_run(open_run(outcome.folder)) == outcome.verdict


READ: list[str] = []


def note(event, arguments):
    if event == "open" and str(arguments[0]).endswith("experiment.toml") and arguments[1] == "r":
        READ.append(str(arguments[0]))


sys.addaudithook(note)


def test_what_was_read_is_handed_on(experiment, tmp_path):
    ready = Ready(experiment, Dataset.read(experiment.data), (None, None), FakeLab())
    (tmp_path / "rows.parquet").unlink()
    READ.clear()
    outcome = compare(ready, tmp_path / "results", Quiet())
    # once, by the stand-in of the load, which is another process
    assert len(READ) == 1
    assert {path.name for path in outcome.folder.iterdir()} == FILES


def test_a_verdict_stands_where_latest_cannot_be_pointed_at_it(experiment, tmp_path):
    (tmp_path / "results" / "latest" / "mine").mkdir(parents=True)
    said = Quiet()
    outcome = run(experiment, FakeLab(0.05), tmp_path, said)
    assert outcome.verdict.verdict is Word.FAIL
    assert (outcome.folder / "verdict.json").exists()
    assert "latest does not point at this run" in said.steps[-1]


def test_a_verdict_that_cannot_be_written_is_said(experiment, tmp_path):
    outcome = run(experiment, FakeLab(), tmp_path)
    (outcome.folder / "report.html.partial").mkdir()
    with pytest.raises(LoadproofError, match=r"report\.html: Is a directory") as caught:
        write_reports(outcome.folder, open_run(outcome.folder), outcome.verdict)
    assert caught.value.__notes__ == [f"the verdict was PASS: {outcome.verdict.reason}"]


def test_a_stored_run_is_judged_again_to_the_same_verdict_and_under_other_gates(experiment, tmp_path):
    outcome = run(experiment, FakeLab(0.05), tmp_path)
    stored = open_run(tmp_path / "results" / "latest")
    assert judge_run(stored) == outcome.verdict
    assert judge_run(stored, ["p99 <= 250ms"]).verdict is Word.PASS


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ('{"loadproof": "9.0.0"}', "the run is of Loadproof 9.0.0, and this is 0"),
        (None, "^[^;]*; [^;]*$"),
    ],
)
def test_a_run_of_another_version_says_so_where_it_cannot_be_read(tmp_path, environment, says):
    (tmp_path / "samples.parquet").touch()
    (tmp_path / "experiment.toml").write_text("quantum = 1")
    if environment is not None:
        # with the byte order mark that an editor puts before it
        (tmp_path / "environment.json").write_text(environment, encoding="utf-8-sig")
    with pytest.raises(UsageError, match=says):
        open_run(tmp_path)


def test_other_samples_than_the_judged_ones_are_refused(experiment, tmp_path):
    folder = run(experiment, FakeLab(), tmp_path).folder
    path = folder / "samples.parquet"
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["samples_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    # with a checksum that fits
    samples = SampleSet.read(path)
    samples.where(samples.row < 2_000).write(path)
    with pytest.raises(UsageError, match="not the samples that verdict"):
        judge_run(open_run(folder))
    (folder / "verdict.json").unlink()
    assert judge_run(open_run(folder)).rows.sent == 2_000


@pytest.mark.parametrize(
    ("lab", "error", "says"),
    [
        (FakeLab(dies=True), ServiceDied, "candidate ended"),
        (FakeLab(code=5), LabError, "load generator ended with code 5"),
    ],
)
def test_when_a_part_breaks_the_lab_is_stopped_and_the_samples_are_kept(
    experiment, tmp_path, lab, error, says
):
    with pytest.raises(error, match=says) as caught:
        run(experiment, lab, tmp_path)
    assert not lab.open
    assert lab.load.stopped
    (partial,) = (tmp_path / "results").iterdir()
    assert len(SampleSet.read(partial / "samples.parquet")) == 6000
    assert str(partial) in caught.value.__notes__[0]
