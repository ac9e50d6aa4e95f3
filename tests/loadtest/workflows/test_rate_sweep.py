"""Several rates on one injected lab, whose versions answer late once they are asked too much."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from loadtest.cli.main import app
from loadtest.data.dataset import Dataset
from loadtest.data.sample_lines import sample_line
from loadtest.errors import ServiceDied
from loadtest.experiment.experiment import Experiment, Load
from loadtest.judge.verdict import Word
from loadtest.lab.interface import Endpoints, Version
from loadtest.workflows.compare import compare
from loadtest.workflows.prepare import Ready
from loadtest.workflows.rate_sweep import judge_rates_run
from tests.loadtest.made_samples import Sample, sample_set

ROWS, SECONDS = 6000, 40.0
CAPACITY = {"stable": 200.0, "candidate": 50.0}
"""Requests a second; beyond it, what is too much comes after the time-out."""


class FakeLoad:
    def __init__(self, job: Path, late: float) -> None:
        self.job, self.late = job, late

    def lines(self) -> Iterator[str]:
        first = [Sample(0, v, 0.0, 0.0, 0.1, 200, None, "a", True, None, 0) for v in CAPACITY]
        yield sample_line(sample_set(first).to_bytes())
        yield json.dumps({"elapsed": 1.0, "done": 10})

    def stop(self) -> None:
        pass

    def wait(self) -> int:
        load = Experiment.load_file(str(self.job / "experiment.toml")).load
        assert load.rates == ()
        rng = np.random.default_rng(1)
        at = np.sort(rng.uniform(0, SECONDS, round(load.rate * SECONDS)))
        skill = np.random.default_rng(2).random(ROWS) < 0.8
        samples = []
        for version, capacity in CAPACITY.items():
            failed = rng.random(len(at)) > capacity / load.rate
            for row, (moment, late) in enumerate(zip(at, failed, strict=True)):
                error, right = ("timeout", False) if late else (None, bool(skill[row]))
                answer = None if late else "a"
                took = 2.0 if late else rng.lognormal(-5, 0.3)
                status = 0 if late else 200
                samples.append(
                    Sample(row, version, moment, moment, moment + took, status, error, answer, right, None, 0)
                )
        sample_set(samples).write(self.job / "samples.parquet")
        facts = {
            "offered_rps": load.rate, "achieved_rps": load.rate, "duration_s": SECONDS,
            "valid": load.rate != self.late, "reason": "the load generator was late",
        }  # fmt: skip
        (self.job / "load.json").write_text(json.dumps(facts))
        return 0


class FakeLab:
    backend = "local"
    endpoints = Endpoints("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")

    def __init__(self, late: float = 0.0, dies_at: int = 99, dies: str = "") -> None:
        self.late, self.dies_at, self.dies, self.loads = late, dies_at, dies, 0

    def __call__(self, versions: tuple[Version, Version]) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def enforced_cpus(self, role: str) -> float:
        return 0.25

    def cpu_usage(self, role: str) -> None:
        return None

    def launch_load(self, job: Path) -> FakeLoad:
        self.loads += 1
        return FakeLoad(job, self.late)

    def check(self) -> None:
        if self.loads >= self.dies_at:
            raise ServiceDied(f"{self.dies or 'gateway'} ended with code 137", ["Killed"], self.dies)

    def ended(self) -> list[str]:
        return [self.dies] if self.loads >= self.dies_at else []

    def environment(self) -> dict[str, object]:
        return {"backend": "local"}


class Quiet:
    def step(self, text: str) -> None:
        pass

    def tick(self, event: dict[str, object], view: object) -> None:
        pass


def run(tmp_path, lab, gates=("p99 <= 250ms", "accuracy >= stable - 2pp"), rates=(40, 100), **load):
    pq.write_table(pa.table({"x": np.arange(ROWS * 1.0), "label": ["a"] * ROWS}), tmp_path / "rows.parquet")
    experiment = Experiment.parse(
        {
            "name": "mine",
            "model": {"name": "mine", "folder": str(tmp_path)},
            "data": {"path": str(tmp_path / "rows.parquet")},
            "load": {"rates": list(rates), **load},
            "gates": list(gates),
        },
        "test",
    )
    versions = tuple(Version(role, tmp_path, 0.25, None) for role in ("stable", "candidate"))
    ready = Ready(experiment, Dataset.read(experiment.data), versions, lab)
    return compare(ready, tmp_path / "results", Quiet())


def test_a_candidate_that_holds_at_one_rate_and_not_at_another(tmp_path):
    outcome = run(tmp_path, FakeLab())
    verdict = outcome.verdict
    assert [at.verdict.verdict for at in verdict.rates] == [Word.PASS, Word.FAIL]
    assert verdict.verdict is Word.FAIL
    assert verdict.reason.startswith("at 100/s: ")
    lowest, highest = verdict.rates
    assert lowest.changes is None
    change = {(c.role, c.metric): c for c in highest.changes.changes}
    # half of the answers came too late, and that is what accuracy lost, row by row
    assert change["candidate", "accuracy"].estimate == pytest.approx(-40, abs=3)
    assert change["candidate", "accuracy"].compared == "paired by row, 1,600 rows in both"
    assert change["candidate", "accuracy"].reading == "worse"
    assert change["stable", "accuracy"].reading == "no change seen"
    assert highest.verdict.versions["candidate"].goodput_rps == pytest.approx(40, abs=3)


def test_the_folder_holds_a_run_a_rate_and_can_be_judged_again(tmp_path):
    outcome = run(tmp_path, FakeLab())
    assert {"rate-40", "rate-100", "rates.json", "junit.xml", "summary.md", "report.html"} <= {
        path.name for path in outcome.folder.iterdir()
    }
    assert judge_rates_run(tmp_path / "results" / "latest") == outcome.verdict
    stored = json.loads((outcome.folder / "rates.json").read_text(), parse_constant=pytest.fail)
    assert [at["rate"] for at in stored["rates"]] == [40.0, 100.0]
    page = (outcome.folder / "report.html").read_text()
    assert page.count("<svg") == 3
    assert 'href="rate-100/report.html"' in page
    assert (outcome.folder / "rate-100" / "report.html").exists()
    done = CliRunner().invoke(app, ["judge", str(outcome.folder), "--gate", "accuracy >= 0.2"])
    assert done.exit_code == 0, done.output
    assert "40/s" in done.output


@pytest.mark.parametrize(
    ("late", "gates", "word", "says"),
    [
        # a rate that the generator could not keep up
        (100.0, ["throughput >= 20/s"], Word.INVALID, "at 100/s: the load generator was late"),
        # harm that another rate proves stands
        (100.0, ["throughput >= 90/s"], Word.FAIL, "at 40/s: throughput"),
        (0.0, ["throughput >= 20/s"], Word.PASS, "all 2 gates"),
    ],
)
def test_words(tmp_path, late, gates, word, says):
    verdict = run(tmp_path, FakeLab(late=late), gates).verdict
    assert verdict.verdict is word
    assert says in verdict.reason


def test_what_was_measured_is_kept_when_the_lab_breaks_at_the_second_rate(tmp_path):
    with pytest.raises(ServiceDied) as caught:
        run(tmp_path, FakeLab(dies_at=2))
    (partial,) = (tmp_path / "results").iterdir()
    assert (partial / "rate-40" / "samples.parquet").exists()
    assert str(partial) in caught.value.__notes__[0]


@pytest.mark.parametrize("dies_at", [1, 2, 3])
def test_a_candidate_that_dies_at_a_rate_is_a_fail_and_no_higher_rate_is_measured(tmp_path, dies_at):
    lab = FakeLab(dies_at=dies_at, dies="candidate")
    outcome = run(tmp_path, lab, ["throughput >= 20/s"], rates=(30, 40, 50))
    verdict = outcome.verdict
    assert verdict.verdict is Word.FAIL
    at = (30, 40, 50)[dies_at - 1]
    assert verdict.reason.startswith(
        f"at {at}/s: the candidate died under load: candidate ended with code 137; "
    )
    assert verdict.reason.endswith("no higher rate was measured")
    words = [one.verdict.verdict for one in verdict.rates]
    assert words == [*[Word.PASS] * (dies_at - 1), Word.FAIL]
    assert lab.loads == dies_at
    assert judge_rates_run(outcome.folder) == verdict


def test_rates_are_read_in_any_order():
    assert Load(rates="100, 20").rates == (20.0, 100.0)
    assert Load(rates=[5, 1]).rates == (1.0, 5.0)
    assert Load(rates=[]).rates == ()


@pytest.mark.parametrize("rates", ["50", [50], [0, 50], "20,20", "fast", 20, [20, None]])
def test_rates_that_make_no_sense_are_refused(rates):
    with pytest.raises(ValueError, match="rates"):
        Load(rates=rates)
