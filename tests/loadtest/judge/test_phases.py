"""A run whose rate changes: results by phase, and gates whose blocks stay within a phase."""

import numpy as np
import pytest

from loadtest.experiment.experiment import Phase
from loadtest.judge.judge import judge
from loadtest.judge.verdict import Word
from loadtest.stats.quantiles import Strata, jackknife
from loadtest.stats.time_blocks import TimeBlocks, whole_phases
from tests.loadtest.judge.test_judge import Arm, Run

PHASES = (Phase(duration=20, rate=50), Phase(name="spike", duration=20, rate=50), Phase(duration=20, rate=50))


def judged(stable: Arm, candidate: Arm, gates: tuple[str, ...], phases: tuple[Phase, ...] = PHASES):
    run = Run(
        arrivals=3000, rows=3000, seconds=60.0, stable=stable, candidate=candidate, gates=gates
    ).gather()
    load = run.experiment.load.model_copy(update={"phases": phases, "rate": 50.0, "duration": 60.0})
    experiment = run.experiment.model_copy(update={"load": load})
    return judge(type(run).gather(experiment, run.dataset, run.samples, run.facts))


def test_the_errors_of_a_spike_are_shown_in_its_phase_alone():
    spiky = Arm(burst=(25.0, 30.0))
    verdict = judged(Arm(), spiky, ("error_rate <= stable + 0.5pp", "p99 <= stable + 25ms"))
    assert [phase.name for phase in verdict.phases] == ["phase 1", "spike", "phase 3"]
    errors = [phase.versions["candidate"].errors for phase in verdict.phases]
    assert errors[0] == errors[2] == 0 < errors[1] == verdict.versions["candidate"].errors
    assert "p99" in verdict.phases[1].versions["candidate"].latency_at_least
    assert "p99" not in verdict.phases[0].versions["candidate"].latency_at_least
    assert sum(p.versions["stable"].requests for p in verdict.phases) == verdict.versions["stable"].requests
    assert verdict.verdict is not Word.PASS


def test_equal_versions_pass_and_a_slower_one_fails_with_phases():
    gate = ("p50 <= stable + 5ms",)
    assert judged(Arm(), Arm(), gate).verdict is Word.PASS
    assert judged(Arm(), Arm(slower=0.02), gate).verdict is Word.FAIL


def test_a_constant_rate_has_no_phases():
    assert judged(Arm(), Arm(), ("p50 <= stable + 5ms",), phases=()).phases == ()


@pytest.mark.parametrize(
    ("ends", "blocks"),
    [
        ((20.0, 60.0), [6, 8]),  # the short one has more than its part of 12
        ((5.0, 60.0), [2, 11]),  # and no more than it has room for
        ((20.0, 40.0, 60.0), [6, 6, 6]),
    ],
)
def test_no_block_straddles_two_phases(ends, blocks):
    cut = TimeBlocks.cut(60.0, 12, ends)
    assert np.bincount(cut.phase).tolist() == blocks
    assert set(ends) <= set(cut.edges.tolist())
    assert cut.lengths.min() >= 2.5 - 1e-9
    assert [cut.phase[cut.of(np.array([end + off]))[0]] for end in ends[:-1] for off in (-1e-3, 1e-3)] == [
        number + after for number in range(len(ends) - 1) for after in (0, 1)
    ]


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (60.0, (20.0, 40.0, 60.0)),
        (43.0, (20.0, 43.0)),  # cut off 3 s into the last phase, which holds no two blocks
        (12.0, ()),
    ],
)
def test_a_run_that_was_cut_off_has_the_phases_it_saw(duration, expected):
    assert whole_phases((20.0, 40.0, 60.0), duration) == expected


def test_what_differs_between_phases_is_no_error():
    values = np.array([1.0, 1.1, 0.9, 1.0, 9.0, 9.1, 8.9, 9.0])
    without = (values.sum() - values) / 7
    whole = float(values.mean())
    strata = Strata(np.repeat([0, 1], 4), np.full(8, 1 / 8))
    by_phase = jackknife(whole, without, strata)
    # of a mean, the stratified error is exact: the root of sum over phases of 4 var / 8^2
    assert by_phase.error == pytest.approx(np.sqrt(8 * np.var(values[:4], ddof=1)) / 8)
    assert by_phase.freedom == pytest.approx(6)
    assert jackknife(whole, without).error > 20 * by_phase.error


def test_one_phase_of_equal_blocks_is_the_plain_jackknife():
    without = np.random.default_rng(1).normal(size=12)
    plain = jackknife(0.1, without)
    one = jackknife(0.1, without, Strata(np.zeros(12, dtype=np.intp), np.full(12, 1 / 12)))
    assert (one.error, one.freedom) == (pytest.approx(plain.error), pytest.approx(11))


def test_a_spread_that_is_all_in_a_short_phase_is_known_from_its_blocks_alone():
    without = np.array([*np.zeros(10), 1.0, -1.0])
    strata = Strata(np.repeat([0, 1], [10, 2]), np.full(12, 1 / 12))
    assert jackknife(0.0, without, strata).freedom == pytest.approx(1)
