"""Verdicts of made-up runs: each row of a table is one thing that can happen to a version under load."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadtest.data.dataset import Dataset
from loadtest.data.samples import SCHEMA, SampleSet
from loadtest.errors import DatasetError, GateError
from loadtest.experiment.experiment import Experiment
from loadtest.judge.judge import judge
from loadtest.judge.run import LoadFacts, RunFacts, VersionFacts
from loadtest.judge.run import Run as JudgedRun
from loadtest.judge.verdict import Verdict, Word

DEFAULT = (
    "error_rate <= stable + 0.5pp",
    "p50 <= stable + 25ms",
    "p95 <= stable + 75ms",
    "p99 <= 250ms",
    "accuracy >= stable - 1pp",
)
WIDE = ("error_rate <= stable + 20pp",)
LATE = (55.0, 60.0)


@dataclass(frozen=True)
class Arm:
    """How one version behaves: shift in seconds, shares of errors and right answers, mismatches."""

    slower: float = 0.0
    errors: float = 0.0
    accuracy: float = 0.8
    slice_accuracy: float | None = None
    mismatches: tuple[int, ...] = ()
    fast_errors: bool = False
    burst: tuple[float, float] | None = None


@dataclass(frozen=True)
class Run:
    """A run of two versions; each arrival sends a row to both."""

    stable: Arm = Arm()
    candidate: Arm = Arm()
    arrivals: int = 3000
    seconds: float = 60.0
    rows: int = 3000
    gates: tuple[str, ...] = DEFAULT
    valid: bool = True
    traffic: str = "duet"
    compared: bool | float = True
    lost: int = 0
    cpus: tuple[float | None, float | None] = (0.25, 0.25)
    memory: tuple[int | None, int | None] = (None, None)

    def samples(self) -> SampleSet:
        rng = np.random.default_rng(17)
        at = np.sort(rng.uniform(0, self.seconds, self.arrivals))
        row = rng.permutation(np.arange(self.arrivals) % self.rows)
        skill, parts = np.random.default_rng(18).random(self.rows), []
        for name, arm in (("stable", self.stable), ("candidate", self.candidate)):
            right = skill < np.where(
                (np.arange(self.rows) % 10 == 0) & (arm.slice_accuracy is not None),
                arm.slice_accuracy or 0,
                arm.accuracy,
            )
            failed = rng.random(self.arrivals) < arm.errors
            if arm.burst:
                failed |= (at >= arm.burst[0]) & (at < arm.burst[1])
            latency = rng.lognormal(np.log(0.01), 0.5, self.arrivals) + arm.slower
            latency[failed] = 0.001 if arm.fast_errors else 2.0
            label = self.labels()[row]
            answer = np.where(right[row], label, np.where(label == "1", "0", "1"))
            parts.append(
                {
                    "row": row,
                    "role": [name] * self.arrivals,
                    "scheduled_at": at,
                    "sent_at": at,
                    "done_at": at + latency,
                    "status": np.where(failed, 500, 200),
                    "error": np.where(failed, "http 500", None).tolist(),
                    "prediction": np.where(failed, None, answer).tolist(),
                    "correct": right[row] & ~failed,
                    "matches": (
                        ~np.isin(np.arange(self.arrivals), arm.mismatches)
                        if self.compared is True
                        else np.where(row >= self.compared * self.rows, None, True).tolist()
                    ),
                    "worker": np.zeros(self.arrivals),
                    "request_id": [f"r{i}" if i in arm.mismatches else None for i in range(self.arrivals)],
                    "baseline": [label[i] if i in arm.mismatches else None for i in range(self.arrivals)],
                    "asked_before": pa.nulls(self.arrivals, pa.bool_()),
                    "scores": pa.nulls(self.arrivals, pa.list_(pa.float32())),
                    "ranking": pa.nulls(self.arrivals, pa.list_(pa.string())),
                    "place": pa.nulls(self.arrivals, pa.int16()),
                    "request_rows": pa.nulls(self.arrivals, pa.int16()),
                    "outputs": pa.nulls(self.arrivals, pa.list_(pa.float64())),
                    "timings": pa.nulls(self.arrivals, pa.list_(pa.float32())),
                }
            )
        tables = [
            pa.table({f.name: pa.array(part[f.name]).cast(_plain(f.type)) for f in SCHEMA}) for part in parts
        ]
        if self.lost:
            tables[1] = tables[1].slice(self.lost)
        return SampleSet(pa.concat_tables(tables).cast(SCHEMA))

    def labels(self) -> np.ndarray:
        return np.where(np.arange(self.rows) % 2, "1", "0")

    def dataset(self) -> Dataset:
        segment = np.where(np.arange(self.rows) % 10 == 0, "new", "known")
        return Dataset(
            Path("rows.parquet"), np.arange(float(self.rows))[:, None], ("a",), self.labels(),
            np.full(self.rows, 20.0), pa.table({"segment": segment}),
        )  # fmt: skip

    def experiment(self) -> Experiment:
        return Experiment.parse(
            {
                "name": "made-up",
                "model": {"name": "m", "folder": "m"},
                "data": {"path": "rows.parquet", "value": "value"},
                "load": {"traffic": self.traffic, "timeout": 2.0},
                "gates": list(self.gates),
            },
            "test",
        )

    def run_facts(self) -> RunFacts:
        rate = self.arrivals / self.seconds
        facts = LoadFacts(
            offered_rps=rate, achieved_rps=rate, duration_s=self.seconds, valid=self.valid, reason="late"
        )
        stable, candidate = (
            VersionFacts(cpus=c, memory_bytes=m) for c, m in zip(self.cpus, self.memory, strict=True)
        )
        return RunFacts(backend="local", load=facts, versions={"stable": stable, "candidate": candidate})

    def judge(self) -> Verdict:
        return judge(self.gather())

    def gather(self) -> JudgedRun:
        return JudgedRun.gather(self.experiment(), self.dataset(), self.samples(), self.run_facts())


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


ALWAYS_FAILING = Arm(errors=1.0)

RUNS = [
    # the same version twice meets the default gates
    ("same", Run(), Word.PASS, "all 5 gates are met"),
    ("100 ms slower", Run(candidate=Arm(slower=0.1)), Word.FAIL, "p50 <= stable + 25ms: at least +"),
    ("5 points worse", Run(candidate=Arm(accuracy=0.75)), Word.FAIL, "accuracy >= stable - 1pp: at most −"),
    ("3% errors", Run(candidate=Arm(errors=0.03)), Word.FAIL, "error_rate <= stable + 0.5pp: at least +"),
    # a candidate that refuses half of its requests within 1 ms is not fast
    (
        "fast errors",
        Run(candidate=Arm(errors=0.55, fast_errors=True), gates=("p50 <= stable + 25ms",)),
        Word.FAIL,
        "p50 <= stable + 25ms",
    ),
    ("candidate dead", Run(candidate=ALWAYS_FAILING), Word.FAIL, "error_rate"),
    # without a baseline there is nothing to compare with
    ("stable dead", Run(stable=ALWAYS_FAILING), Word.INVALID, "stable answered none of 3,000 requests"),
    ("both dead", Run(ALWAYS_FAILING, ALWAYS_FAILING), Word.INVALID, "stable answered none"),
    ("generator late", Run(valid=False), Word.INVALID, "late"),
    ("samples lost", Run(lost=100), Word.INVALID, "100 of 5,900 samples stand alone"),
    ("unequal limits", Run(cpus=(0.25, 0.5)), Word.INVALID, "stable ran on 0.25 CPUs, the candidate on 0.5"),
    ("no samples", Run(arrivals=0), Word.INVALID, "no sample was recorded"),
    ("one arrival", Run(arrivals=1), Word.INCONCLUSIVE, "undecided"),
    ("two seconds", Run(arrivals=100, seconds=2.0), Word.INCONCLUSIVE, "s more would settle them"),
    # 25 s need 5 s more for twelve blocks
    (
        "short",
        Run(arrivals=1250, seconds=25.0, gates=("p50 <= stable + 25ms",)),
        Word.INCONCLUSIVE,
        "12 time blocks of 2.5 s: 250 more requests, about 5 s at this rate",
    ),
    # 3 samples lie beyond p999, and 10 are needed
    ("deep tail", Run(gates=("p999 <= 1s",)), Word.INCONCLUSIVE, "2 samples beyond it, 10 are needed"),
    # the set is used up: more requests would only replay rows
    (
        "few rows",
        Run(rows=200, candidate=Arm(accuracy=0.79), gates=("accuracy >= stable - 2pp",)),
        Word.INCONCLUSIVE,
        "the evaluation set has 200, so a longer run would not",
    ),
    # a margin of nothing can never be shown for equal versions
    ("no margin", Run(gates=("accuracy >= stable",)), Word.INCONCLUSIVE, "so close to the margin"),
    # one second of a hundred errors is one event: bad luck or a fault, this run cannot say
    (
        "one burst of errors",
        Run(candidate=Arm(burst=(30.0, 31.0)), gates=("error_rate <= stable + 0.5pp",)),
        Word.INCONCLUSIVE,
        "the true value may be",
    ),
    # servers by URL that end with the load, within a margin that only the average meets
    ("both end", Run(Arm(burst=LATE), Arm(burst=LATE), gates=WIDE), Word.INVALID, "neither version answered"),
    ("stable ends", Run(Arm(burst=LATE), gates=WIDE), Word.INVALID, "stable no longer answered"),
    ("the candidate ends", Run(candidate=Arm(burst=LATE), gates=WIDE), Word.FAIL, "none of the last 2"),
    (
        "the candidate is gone when the load ends",
        Run(candidate=Arm(burst=(59.0, 60.0)), gates=WIDE),
        Word.INCONCLUSIVE,
        "whether it came back is not known",
    ),
    ("both come back", Run(Arm(burst=(55.0, 59.9)), Arm(burst=(55.0, 59.9)), gates=WIDE), Word.PASS, "met"),
    # 5 points worse on a tenth of the rows, better on average
    (
        "worse slice",
        Run(
            rows=20_000, arrivals=20_000, candidate=Arm(accuracy=0.82, slice_accuracy=0.75),
            gates=("accuracy >= stable - 1pp", "accuracy[segment=new] >= stable - 2pp"),
        ),
        Word.FAIL,
        "accuracy[segment=new] >= stable - 2pp: at most −",
    ),
    ("matches", Run(gates=("mismatches == 0",)), Word.PASS, "the gate is met"),
    (
        "mismatches",
        Run(candidate=Arm(mismatches=(7, 9)), gates=("mismatches == 0",)),
        Word.FAIL,
        "2 of 3,000 answers differ from the baseline answer to the same row: request r7 (row ",
    ),
    (
        "no baseline answer",
        Run(compared=False, gates=("mismatches == 0",)),
        Word.INCONCLUSIVE,
        "has no baseline answers",
    ),
    # 12 of 3,000 answers say nothing of the others, and nor do 89%
    (
        "few compared",
        Run(compared=0.004, gates=("mismatches == 0",)),
        Word.INCONCLUSIVE,
        "only 12 answers of the candidate (0.4%) could be compared, 90% are needed",
    ),
    ("too few compared", Run(compared=0.89, gates=("mismatches == 0",)), Word.INCONCLUSIVE, "(89.0%)"),
    ("enough compared", Run(compared=0.91, gates=("mismatches == 0",)), Word.PASS, "the gate is met"),
    # what failed gave no answer that could be compared
    (
        "errors are not compared",
        Run(candidate=Arm(errors=0.3), gates=("mismatches == 0",)),
        Word.PASS,
        "the gate is met",
    ),
    ("memory unknown", Run(gates=("memory <= 512m",)), Word.INCONCLUSIVE, "was not measured on this backend"),
    (
        "memory grew",
        Run(memory=(2**28, 2**29), gates=("memory <= stable + 20%",)),
        Word.FAIL,
        "+100%, beyond the margin of +20%",
    ),
    ("value lost", Run(candidate=Arm(accuracy=0.7), gates=("value >= stable - 2%",)), Word.FAIL, "value"),
    ("f1 kept", Run(gates=("f1_macro >= stable - 1pp",)), Word.PASS, "met"),
    ("f1 lost", Run(candidate=Arm(accuracy=0.7), gates=("f1 >= stable - 1pp",)), Word.FAIL, "f1 >="),
    (
        "likelihood ratio kept",
        Run(gates=("positive_likelihood_ratio >= stable - 20%",)),
        Word.PASS,
        "met",
    ),
    (
        "likelihood ratio lost",
        Run(candidate=Arm(accuracy=0.7), gates=("negative_likelihood_ratio <= stable + 10%",)),
        Word.FAIL,
        "negative_likelihood_ratio",
    ),
    ("goodput", Run(candidate=Arm(slower=0.3), gates=("goodput >= stable - 5%",)), Word.FAIL, "goodput"),
    ("throughput", Run(gates=("throughput >= 40/s",)), Word.PASS, "met"),
    ("unpaired", Run(traffic="canary"), Word.INCONCLUSIVE, "accuracy >= stable - 1pp: the true value may be"),
    ("unpaired, worse", Run(traffic="canary", candidate=Arm(accuracy=0.7)), Word.FAIL, "accuracy"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "word", "reason"), [r[1:] for r in RUNS], ids=[r[0] for r in RUNS])
def test_verdict(run, word, reason):
    verdict = run.judge()
    assert verdict.verdict is word, verdict.reason
    assert reason in verdict.reason
    assert [g.name for g in verdict.gates] == list(run.gates)
    for line in (verdict.reason, *(g.reason for g in verdict.gates)):
        assert line
        assert "\n" not in line
        assert "nan" not in line
    # neither NaN nor infinity is JSON
    json.loads(verdict.model_dump_json(by_alias=True), parse_constant=pytest.fail)


def test_intervals_and_margins_carry_the_units_that_they_name():
    gates = (*DEFAULT, "p95 <= stable + 10%", "accuracy >= 0.3", "value >= stable - 2%")
    verdict = Run(candidate=Arm(slower=0.01), gates=gates).judge()
    by_name = {g.name: g for g in verdict.gates}
    seen = {
        name: (g.unit, g.value_unit, g.margin, round(g.stable or 0), round(g.candidate or 0))
        for name, g in by_name.items()
    }
    assert seen["p50 <= stable + 25ms"] == ("ms", "ms", 25.0, 10, 20)
    assert seen["p95 <= stable + 10%"][:3] == ("%", "ms", pytest.approx(10.0))
    assert seen["p99 <= 250ms"][:3] == ("ms", "ms", pytest.approx(250.0))
    assert seen["accuracy >= stable - 1pp"] == ("pp", "%", -1.0, 79, 79)
    assert seen["accuracy >= 0.3"] == ("%", "%", 30.0, 79, 79)
    assert seen["value >= stable - 2%"][:3] == ("%", "", -2.0)
    p50 = by_name["p50 <= stable + 25ms"]
    assert p50.interval[0] < 10 < p50.interval[1]  # milliseconds, as the shift is 10 ms
    assert p50.estimate == pytest.approx(10, abs=1)


def test_replayed_rows_count_once():
    once, often = (
        Run(rows=300, arrivals=n, candidate=Arm(accuracy=0.79), gates=("accuracy >= stable - 1pp",)).judge()
        for n in (300, 3000)
    )
    assert once.gates[0].interval == pytest.approx(often.gates[0].interval)


def test_a_failure_that_holm_does_not_confirm_leaves_the_run_open():
    # 0.61% of 3,000 against a bound of 0.3%: p is about 0.002, enough alone, not among thirty gates
    gate, others = "error_rate <= 0.3%", [f"throughput >= {i}/s" for i in range(1, 30)]
    alone = Run(candidate=Arm(errors=0.0061), gates=(gate,)).judge()
    among = Run(candidate=Arm(errors=0.0061), gates=(gate, *others)).judge()
    assert alone.verdict is Word.FAIL
    assert among.gates[0] == alone.gates[0]
    assert among.verdict is Word.INCONCLUSIVE
    assert among.reason.endswith("not proven after Holm's correction; run longer")


@pytest.mark.parametrize(
    ("arrivals", "accuracy", "remedy"),
    [
        (100, 0.75, "run longer"),
        (300, 0.77, "only more rows may prove it, as all 300 distinct ones were sent"),
    ],
)
def test_what_proves_a_failure_is_more_load_only_where_rows_are_left(arrivals, accuracy, remedy):
    gates = ("accuracy >= stable - 1pp", *(f"throughput >= 0.0{i}/s" for i in range(10, 40)))
    verdict = Run(rows=300, arrivals=arrivals, candidate=Arm(accuracy=accuracy), gates=gates).judge()
    assert verdict.reason.endswith(f"not proven after Holm's correction; {remedy}")


def test_a_file_in_parts_is_judged_as_its_samples_are(tmp_path):
    run = Run(
        candidate=Arm(errors=0.01, accuracy=0.7, mismatches=(3, 4)), gates=(*DEFAULT, "mismatches == 0")
    )
    pq.write_table(run.samples().table, tmp_path / "samples.parquet", row_group_size=1000)
    samples = SampleSet.read(tmp_path / "samples.parquet")
    stored = JudgedRun.gather(run.experiment(), run.dataset(), samples, run.run_facts())
    assert judge(stored) == run.judge().model_copy(update={"samples_sha256": samples.digest})


def test_samples_of_another_evaluation_set_are_refused():
    run = Run()
    with pytest.raises(DatasetError, match="it has 100 rows; judge with the evaluation set of the run"):
        JudgedRun.gather(run.experiment(), replace(run, rows=100).dataset(), run.samples(), run.run_facts())


def test_labels_in_other_words_make_no_run_pass():
    # both versions are then equally wrong, which no gate on their difference would mind
    run = Run(stable=Arm(accuracy=0.0), candidate=Arm(accuracy=0.0))
    dataset = replace(run.dataset(), labels=np.where(run.labels() == "1", "yes", "no"))
    verdict = judge(replace(run.gather(), dataset=dataset))
    assert verdict.verdict is Word.INVALID
    assert verdict.reason == (
        "3,000 of 3,000 answers of stable are no label: it answers '0', '1', the labels read 'no', 'yes'; "
        "write labels as the model does, or serve an output that is a label"
    )
    # wrong, but in the labels' words
    assert "less often than by chance" in run.judge().reason


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("accuracy[region=eu] >= stable - 1pp", "no column 'region'; it has segment"),
        ("accuracy[segment=old] >= stable - 1pp", "no row has segment=old; there are known, new"),
        ("mae <= stable + 10%", "mae is for regressions"),
    ],
)
def test_gates_that_the_rows_cannot_decide_are_refused(gate, message):
    with pytest.raises(GateError, match=message):
        Run(gates=(gate,)).judge()
