"""A version that answers from a cache: what of a run it cannot buy a PASS with."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.judge.caches import effects, summarise_cache, without_cached
from loadtest.judge.judge import judge
from loadtest.judge.metric_tests import measure
from loadtest.judge.outcomes import Outcomes, one_row_each
from loadtest.judge.paired_outcomes import Evidence
from loadtest.judge.run import LoadFacts, Run, RunFacts

RATE, SECONDS = 50, 60
ARRIVALS = RATE * SECONDS
FACTS = RunFacts(backend="local", load=LoadFacts(offered_rps=RATE, achieved_rps=RATE, duration_s=SECONDS))
MISS, HIT, HONEST = 0.060, 0.001, 0.010


def run(*, rows=ARRIVALS, hit=HIT, miss=MISS, gates=("p50 <= stable + 10ms",), asked=0.5, seed=1):
    """An honest stable beside a candidate that takes ``hit`` for what it was asked before, else ``miss``."""
    rng = np.random.default_rng(seed)
    experiment = Experiment.parse(
        {
            "name": "e",
            "model": {"name": "m", "folder": "m"},
            "data": {"path": "e.csv"},
            "load": {"rate": RATE, "duration": SECONDS},
            "gates": list(gates),
        },
        source="test",
    )
    labels = np.array(["0", "1"])[np.arange(rows) % 2]
    dataset = Dataset(Path("e.csv"), np.arange(float(rows))[:, None], ("x",), labels, None, pa.table({}))
    row = (np.arange(ARRIVALS) % rows).astype(np.int32)
    at = np.sort(rng.uniform(0, SECONDS, ARRIVALS))
    before = rng.random(rows) < asked
    known = before[row] | (np.arange(ARRIVALS) >= rows)

    def outcomes(latency):
        no = np.zeros(ARRIVALS, dtype=bool)
        nothing = pa.nulls(ARRIVALS, pa.string())
        return Outcomes(
            row, at, latency * rng.lognormal(0, 0.3, ARRIVALS), no, ~no, no, ~no, pa.array(labels[row]),
            nothing, nothing, before[row].astype(np.int8), pa.nulls(ARRIVALS, pa.list_(pa.float32())),
            pa.nulls(ARRIVALS, pa.list_(pa.string())), one_row_each(ARRIVALS),
            pa.nulls(ARRIVALS, pa.list_(pa.float64())),
        )  # fmt: skip

    stable, candidate = outcomes(np.full(ARRIVALS, HONEST)), outcomes(np.where(known, hit, miss))
    return Run(experiment, dataset, FACTS, Evidence(stable, candidate, True, 0, float(SECONDS)))


@pytest.mark.parametrize(
    ("given", "word"),
    [
        # each row once: a half is measured as a miss, and no median of both halves may hide that
        ({}, "FAIL"),
        # half of the rows twice: what is asked again says nothing either
        ({"rows": 2 * ARRIVALS // 3}, "FAIL"),
        # every row that is sent was sent before, but for the first third of the run: too short to say
        ({"rows": ARRIVALS // 3}, "INCONCLUSIVE"),
        # an honest version, as fast as stable
        ({"hit": HONEST, "miss": HONEST}, "PASS"),
        # a cache that nobody is harmed by
        ({"hit": HIT, "miss": HONEST}, "PASS"),
        # goodput, too, counts misses alone
        ({"gates": ["goodput >= 40/s"], "miss": 0.5}, "FAIL"),
        ({"gates": ["goodput >= 40/s"], "miss": HONEST}, "PASS"),
    ],
)
def test_the_verdict(given, word):
    verdict = judge(run(**given))
    assert verdict.verdict == word, verdict.gates[0].reason


def test_what_is_said():
    cached = run(rows=2 * ARRIVALS // 3)
    verdict = judge(cached)
    (gate,) = verdict.gates
    assert "times as fast by the candidate, so only first asks of the others count: " in gate.reason
    seen = verdict.versions["candidate"].cache
    assert (seen.seen, seen.quantile) == (True, "p50")
    assert seen.asked_before + seen.not_asked == 2000
    assert seen.repeats == 1000
    assert seen.asked_before_ms < 2 < 50 < seen.not_asked_ms
    assert seen.repeats_ms < 2
    assert seen.interval[0] < seen.times_as_fast < seen.interval[1]
    assert not verdict.versions["stable"].cache.seen
    # a gate's own values are those of what it counts
    assert gate.candidate > 50


def test_a_tail_alone_may_be_cached():
    """One row in ten is a hard one: medians are nearly the same, and the quantile of the gate is not."""
    rng = np.random.default_rng(5)
    cached = run(hit=HONEST, miss=np.where(rng.random(ARRIVALS) < 0.1, 0.5, HONEST), gates=["p95 <= 100ms"])
    halves = {effect.quantile: effect for effect in effects(cached, "candidate", (0.5, 0.95), 0.05)}
    assert halves[0.5].ratio < 1.2 < 5 < halves[0.95].low
    assert judge(cached).verdict == "FAIL"


@pytest.mark.parametrize("asked", [0.0, 1.0, 0.005])
def test_without_two_halves_nothing_is_said(asked):
    """No baseline answers, or all of them, or hardly any: there is nothing to compare with."""
    one = run(asked=asked)
    assert summarise_cache(one, "candidate") is None
    assert without_cached(one, (0.5,)) == (one, "")


def test_without_a_cache_the_halves_hardly_ever_differ():
    """The share of honest runs that lose a half of their evidence: two versions at 5% each, and more."""
    runs = [run(hit=HONEST, miss=HONEST, seed=seed) for seed in range(100)]
    lost = sum(bool(without_cached(one, (0.95,)).note) for one in runs)
    # of 12% one in ten thousand binomials is beyond
    assert 0 < lost <= 26
    assert not any(summarise_cache(one, "candidate").seen for one in runs)


def test_rates_are_of_all_arrivals():
    one = run(gates=["goodput >= 40/s"], miss=HONEST)
    measured = measure(one.experiment.gates[0], one)
    assert measured.note
    assert measured.candidate == pytest.approx(RATE, rel=0.05)
