"""Wrong verdicts that other tools' users reported, as runs that the judge must not be fooled by.

The page names the reports. Runs are made of samples here, so that no row depends on this machine.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.experiment.metrics import METRICS
from loadtest.judge.judge import judge
from loadtest.judge.metric_tests import TESTS
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.verdict import Word
from tests.loadtest.made_samples import Sample, sample_set

PAGE = Path(__file__).parents[2] / "docs" / "what-cannot-fool-it.md"
ARRIVALS, SECONDS = 1500, 60.0
RNG = np.random.default_rng(4)
AT = np.sort(RNG.uniform(0, SECONDS, ARRIVALS)).tolist()
DRAW = RNG.random(ARRIVALS)
SLICES = ["new" if i % 50 == 0 else "known" for i in range(ARRIVALS)]


class Lie(NamedTuple):
    """What the candidate does: the share that fails, and that takes a second; until when; whom it shuns."""

    fails: float = 0.0
    stalls: float = 0.0
    until: float = SECONDS
    shuns: str = ""


def run_of(lie: Lie, gates, task: str = "classification") -> Run:
    samples = []
    for role, arm in (("stable", Lie(shuns=lie.shuns)), ("candidate", lie)):
        for i, at in enumerate(AT):
            if at > arm.until or SLICES[i] == arm.shuns:
                continue
            failed = DRAW[i] < arm.fails
            took = 0.001 if failed else 1.0 if DRAW[i] > 1 - arm.stalls else 0.01 + 0.001 * DRAW[i]
            right = i % 10 != 0
            said = None if failed else str((i % 2 if right else 1 - i % 2) + (task == "regression"))
            answer = (0 if failed else 200, "connection refused" if failed else None, said)
            correct = None if task == "regression" else bool(right and not failed)
            matches = None if failed else True
            samples.append(Sample(i, role, at, at, at + took, *answer, correct, matches, 0))
    experiment = Experiment.parse(
        {
            "name": "reported",
            "model": {"name": "m", "folder": "none"},
            "data": {"path": "none.csv", "task": task},
            "gates": gates,
        },
        "test",
    )
    labels = np.arange(ARRIVALS) % 2
    own = np.arange(float(ARRIVALS))
    dataset = Dataset(
        Path("none"),
        own[:, None],
        ("x",),
        1.0 + labels if task == "regression" else labels.astype(str),
        None,
        pa.table({"x": own, "segment": SLICES}),
    )
    load = LoadFacts(offered_rps=25, achieved_rps=25, duration_s=SECONDS)
    return Run.gather(experiment, dataset, sample_set(samples), RunFacts(backend="local", load=load))


ERRORS = ["error_rate <= stable + 0.5pp"]
REPORTS = {
    # of a baseline without errors there was no data, and so no comparison
    "spinnaker/kayenta#799": (Lie(fails=0.03), ERRORS, Word.FAIL),
    # what was far from the rest was dropped
    "spinnaker/kayenta#420": (Lie(stalls=0.03), ["p99 <= stable + 100ms"], Word.FAIL),
    # the last value of a metric was taken for the present one
    "fluxcd/flagger#1011": (Lie(until=SECONDS / 2), ERRORS, Word.INVALID),
    # a threshold on what nobody measured was met
    "grafana/k6#1346": (Lie(shuns="new"), ["accuracy[segment=new] >= 80%"], Word.INCONCLUSIVE),
    # every measurement had failed, and the analysis was a success
    "argoproj/argo-rollouts#4479": (Lie(fails=1.0), ["p99 <= 1s"], Word.FAIL),
}
"""By the report: what the candidate does, the gates, and the verdict."""


def test_the_page_names_these_reports():
    named = re.findall(r"^\| .*\[([a-z0-9-]+/[a-z0-9-]+#\d+)\]\(https", PAGE.read_text("utf-8"), re.M)
    assert sorted(named) == sorted(REPORTS)


@pytest.mark.parametrize("report", REPORTS)
def test_the_verdict(report):
    lie, gates, word = REPORTS[report]
    verdict = judge(run_of(lie, gates))
    assert verdict.verdict is word, verdict.reason
    # the same gates are met where nobody lies
    assert word is Word.INCONCLUSIVE or judge(run_of(Lie(), gates)).verdict is Word.PASS


BOUNDS = {
    "agreement": "agreement >= 90%",
    "max_error": "max_error <= 10",
    "pinball": "pinball[0.9] <= stable",
}


def gates_of(task: str) -> list[str]:
    """A gate on every metric of one load whose answers are labels or numbers, without a column of values."""
    return [
        BOUNDS.get(name, "") or str(Gate.beside_stable(name))
        for name, entry in METRICS.items()
        if entry.task in (None, task) and not {"scores", "value"} & set(entry.needs)
        # an interval is of two outputs that have names
        if "@" not in name and entry.test in TESTS and "lower" not in entry.takes
    ]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_no_gate_on_any_metric_is_met_by_a_candidate_that_answers_nothing(task):
    gates = gates_of(task)
    assert len(gates) > 12
    verdict = judge(run_of(Lie(fails=1.0), gates, task))
    assert [gate.name for gate in verdict.gates if gate.verdict is Word.PASS] == []
    assert verdict.verdict is Word.FAIL
