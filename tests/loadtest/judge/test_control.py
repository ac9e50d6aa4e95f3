"""A run with a control: the A/A beside the A/B, and a run that its own noise makes INVALID."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import ExperimentError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES_WITH_CONTROL, Role
from loadtest.judge.control import against_itself, compare_with_control
from loadtest.judge.gate_test import decide
from loadtest.judge.judge import judge
from loadtest.judge.rate_sweep import judge_rates
from loadtest.judge.run import LoadFacts, Run, RunFacts, VersionFacts
from loadtest.judge.significance import Level
from loadtest.judge.verdict import Word
from loadtest.report.machine_formats import to_json, to_markdown
from tests.loadtest.made_samples import Sample, sample_set

ARRIVALS, SECONDS = 1500, 60.0
AT = np.sort(np.random.default_rng(1).uniform(0, SECONDS, ARRIVALS))


class Arm(NamedTuple):
    """How a version differs from the others; ``then``: how much slower it is in the second half."""

    slower: float = 0.0
    then: float | None = None
    wrong: float = 0.0
    errors: float = 0.0
    absent: bool = False


HONEST = Arm()


def experiment(*gates: str, **load: object) -> Experiment:
    return Experiment.parse(
        {
            "name": "noise",
            "model": {"name": "m", "folder": "none"},
            "data": {"path": "none.csv"},
            "load": {"control": True, **load},
            "gates": list(gates),
        },
        "test",
    )


def run_of(
    control: Arm,
    *gates: str,
    facts: dict | None = None,
    candidate: Arm = HONEST,
    restarts: list[dict] | None = None,
    **load: object,
) -> Run:
    rng, samples = np.random.default_rng(2), []
    for role, arm in zip(ROLES_WITH_CONTROL, (Arm(), candidate, control), strict=True):
        if arm.absent:
            continue
        slower = np.where(SECONDS / 2 > AT, arm.slower, arm.slower if arm.then is None else arm.then)
        latency = rng.lognormal(np.log(0.01), 0.3, ARRIVALS) + slower
        wrong, failed = (rng.random(ARRIVALS) < share for share in (0.1 + arm.wrong, arm.errors))
        for i, at in enumerate(AT.tolist()):
            said = None if failed[i] else str((i + int(wrong[i])) % 2)
            answer = ("timeout" if failed[i] else None, said, said == str(i % 2), None if failed[i] else True)
            samples.append(Sample(i, role, at, at, at + latency[i], 0 if failed[i] else 200, *answer, 0))
    rows = np.arange(float(ARRIVALS))
    labels = np.array([str(i % 2) for i in range(ARRIVALS)])
    dataset = Dataset(Path("none"), rows[:, None], ("x",), labels, None, pa.table({"x": rows}))
    load_facts = LoadFacts(offered_rps=25, achieved_rps=25, duration_s=SECONDS, restarts=restarts or ())
    facts_of = RunFacts(backend="local", load=load_facts, versions=facts or {})
    return Run.gather(experiment(*gates, **load), dataset, sample_set(samples), facts_of)


NOISE = "control: {}: stable and a second deployment of it differ by"
RUNS = {
    "nobody differs": (Arm(), ("p50 <= stable + 2ms", "accuracy >= stable - 5pp"), Word.PASS, "met"),
    "the control is slower": (Arm(slower=0.01), ("p50 <= stable + 2ms",), Word.INVALID, NOISE),
    # stable had bad luck: a candidate as slow as it would pass
    "it is faster": (Arm(slower=-0.006), ("p50 <= stable + 2ms",), Word.INVALID, NOISE),
    "by less than the margin": (Arm(slower=0.005), ("p50 <= stable + 20ms",), Word.PASS, "met"),
    # an absolute bound asks nothing of stable
    "the bound is absolute": (Arm(slower=0.05), ("p50 <= 30ms",), Word.PASS, "met"),
    "it is wrong more often": (Arm(wrong=0.3), ("accuracy >= stable - 5pp",), Word.INVALID, NOISE),
    # absolute in form, and yet of both versions
    "it disagrees with stable": (Arm(wrong=0.4), ("agreement >= 60%",), Word.INVALID, NOISE),
    "one gate is noisy, the others are not": (
        Arm(wrong=0.3),
        ("p50 <= stable + 5ms", "accuracy >= stable - 5pp"),
        Word.INVALID,
        "control: accuracy >= stable - 5pp",
    ),
    "it fails": (Arm(errors=0.9), ("p50 <= 30ms",), Word.INVALID, "the control failed 1,3"),
    "it has no samples": (Arm(absent=True), ("p50 <= 30ms",), Word.INVALID, "the control has no answers"),
}


@pytest.mark.parametrize("what", RUNS)
def test_the_verdict(what):
    control, gates, word, says = RUNS[what]
    verdict = judge(run_of(control, *gates))
    assert (verdict.verdict, says.format(gates[0]) in verdict.reason) == (word, True), verdict.reason


UNTIL_DECIDED = {
    # an analysis at the end alone would be sure of these 1.6 ms; one of many is not yet
    "it differs a little": (Arm(slower=0.0016), "p50 <= stable + 1ms", False),
    "it is slower": (Arm(slower=0.01), "p50 <= stable + 2ms", True),
    # bets hold at every analysis anyway
    "it is wrong more often": (Arm(wrong=0.3), "accuracy >= stable - 5pp", True),
}


@pytest.mark.parametrize("what", UNTIL_DECIDED)
def test_until_decided_it_is_held_against_itself_at_the_level_of_every_moment(what):
    control, gate, invalid = UNTIL_DECIDED[what]
    assert judge(run_of(control, gate)).verdict is Word.INVALID
    verdict = judge(run_of(control, gate, until_decided=True))
    assert (verdict.verdict is Word.INVALID) is invalid, verdict.reason
    assert (NOISE.format(gate) in verdict.reason) is invalid


@pytest.mark.parametrize("gate", ["p50 <= stable + 2ms", "accuracy >= stable - 5pp"])
def test_until_decided_it_is_measured_as_the_gate_itself(gate):
    itself = against_itself(run_of(Arm(wrong=0.05), gate, until_decided=True))
    seconds = itself.evidence.duration
    own = decide(itself.experiment.gates[0], itself.until(seconds), Level(itself.alpha, seconds)).result
    assert compare_with_control(itself)[0].interval == own.interval


HALVES = [{"begins_s": begin, "duration_s": SECONDS / 2} for begin in (0.0, SECONDS / 2)]


def test_over_restarts_it_counts_how_deployments_differ():
    # 8 ms slower in one deployment and 2 in the other: on average that is sure, of any two it is not
    differs, gate = Arm(slower=0.008, then=0.002), "p50 <= stable + 2ms"
    assert judge(run_of(differs, gate)).verdict is Word.INVALID
    shown = judge(run_of(differs, gate, restarts=HALVES)).control[0]
    assert (shown.beyond, round(shown.estimate)) == (False, 5)
    # as slow in each
    assert judge(run_of(Arm(slower=0.008), gate, restarts=HALVES)).control[0].beyond


def test_at_several_rates_a_noisy_one_makes_all_invalid_unless_another_proves_harm():
    gate, noisy, slow = "p50 <= stable + 2ms", Arm(slower=0.01), Arm(slower=0.05)
    calm, loud, bad = (run_of(Arm(), gate), run_of(noisy, gate), run_of(Arm(), gate, candidate=slow))
    verdict = judge_rates([calm, loud])
    assert (verdict.verdict, "control: p50" in verdict.reason) == (Word.INVALID, True)
    assert judge_rates([calm, calm]).verdict is Word.PASS
    assert judge_rates([bad, loud]).verdict is Word.FAIL


def test_several_rates_share_the_level():
    run = run_of(Arm(slower=0.0008), "p50 <= stable")
    itself = against_itself(run)
    assert [compare_with_control(itself, rates)[0].beyond for rates in (1, 10**6)] == [True, False]


def test_the_control_changes_nothing_else_of_a_verdict():
    with_it = judge(run_of(Arm(), "p50 <= stable + 2ms", "error_rate <= stable + 1pp"))
    run = run_of(Arm(absent=True), "p50 <= stable + 2ms", "error_rate <= stable + 1pp")
    load = run.experiment.load.model_copy(update={"control": False})
    plain = Run.gather(run.experiment.model_copy(update={"load": load}), run.dataset, run.samples, run.facts)
    assert judge(plain).gates == with_it.gates


def test_the_death_of_the_candidate_outweighs_noise():
    facts = {Role.CANDIDATE: VersionFacts(died="it was killed")}
    verdict = judge(run_of(Arm(slower=0.01), "p50 <= stable + 2ms", facts=facts))
    assert verdict.verdict is Word.FAIL


def test_what_was_read_of_the_control():
    facts = {
        role: VersionFacts(cpus=1.0, memory_bytes=size)
        for role, size in zip(ROLES_WITH_CONTROL, (100 << 20, 100 << 20, 150 << 20), strict=True)
    }
    assert "differ by +50%" in judge(run_of(Arm(), "memory <= stable + 20%", facts=facts)).reason
    other = facts | {Role.CONTROL: VersionFacts(cpus=2.0, memory_bytes=100 << 20)}
    assert "the control on 2" in judge(run_of(Arm(), "memory <= stable + 20%", facts=other)).reason


def test_the_a_a_stands_beside_the_a_b():
    run = run_of(Arm(slower=0.01), "p50 <= stable + 2ms", "p99 <= 200ms")
    verdict = judge(run)
    compared, absolute = verdict.control
    assert (compared.beyond, absolute.beyond) == (True, False)
    assert compared.interval[0] > 2
    assert compared.control > compared.stable
    assert verdict.versions[Role.CONTROL].requests == ARRIVALS
    assert '"beyond": true' in to_json(verdict)
    assert "beyond the margin" in to_markdown(verdict, run.experiment)


@pytest.mark.parametrize(
    ("load", "says"),
    [
        # users are of one version each
        ({"traffic": "canary"}, "traffic canary"),
        ({"traffic": "stable"}, "traffic stable"),
    ],
)
def test_what_a_control_does_not_go_with(load, says):
    with pytest.raises(ExperimentError, match=f"control does not go with {says}"):
        experiment("p50 <= stable", **load)


@pytest.mark.parametrize(("control", "url"), [(True, None), (False, "http://127.0.0.1:3")])
def test_a_control_elsewhere_needs_its_url(control, url):
    target = {"stable": "http://127.0.0.1:1", "candidate": "http://127.0.0.1:2"}
    raw = experiment("p50 <= stable").model_dump(mode="json", exclude_none=True)
    raw["load"]["control"], raw["target"] = control, target | ({"control": url} if url else {})
    with pytest.raises(ExperimentError, match="go together; give both or neither"):
        Experiment.parse(raw, "test")
