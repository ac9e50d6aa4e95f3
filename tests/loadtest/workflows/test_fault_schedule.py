import pytest

from loadtest.errors import ExperimentError
from loadtest.experiment.experiment import Experiment, Fault
from loadtest.workflows.fault_schedule import FaultSchedule


class Lab:
    def __init__(self):
        self.done = []

    def inject(self, role, fault):
        self.done.append((role, fault.kind))

    def heal(self, role):
        self.done.append((role, "healed"))


def schedule(*faults):
    lab, said = Lab(), []
    return FaultSchedule(faults, lab, said.append), lab, said


def test_faults_come_and_go_at_their_times():
    faults, lab, said = schedule(
        Fault(at=20, kind="killed", role="stable"), Fault(at=5, lasts=10, kind="failing", share=0.5)
    )
    steps = []
    for second in range(25):
        before = len(lab.done)
        faults.advance(second)
        steps += [(second, *step) for step in lab.done[before:]]
    assert steps == [(5, "candidate", "failing"), (15, "candidate", "healed"), (20, "stable", "killed")]
    assert said == [
        "candidate is failing in 50% of its answers on purpose, 5.0 s after the load began",
        "candidate is no longer failing in 50% of its answers",
        "stable is killed on purpose, 20.0 s after the load began",
    ]


def test_healing_one_fault_leaves_the_others_of_the_same_version_in_place():
    faults, lab, _ = schedule(
        Fault(at=0, lasts=2, kind="slowed", delay=1),
        Fault(at=0, kind="wrong", share=0.1),
        Fault(at=0, kind="failing", role="stable"),
    )
    faults.advance(0)
    del lab.done[:]
    faults.advance(3)
    assert lab.done == [("candidate", "healed"), ("candidate", "wrong")]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"kind": "drunk"}, "faults.0.kind"),
        ({"kind": "wrong", "share": 0}, "faults.0.share"),
        ({"kind": "slowed", "delay": "2m"}, "faults.0.delay"),
        ({"kind": "slowed", "for": "2m"}, "faults.0.for"),
        ({"kind": "killed", "role": "gateway"}, "faults.0.role"),
    ],
)
def test_a_fault_that_makes_no_sense_is_an_error_of_the_experiment(fault, message):
    raw = {"name": "x", "model": {"name": "m", "folder": "m"}, "data": {"path": "d"}, "faults": [fault]}
    with pytest.raises(ExperimentError, match=message):
        Experiment.parse(raw, "x.toml")


def test_faults_survive_the_resolved_experiment(tmp_path):
    raw = {"name": "x", "model": {"name": "m", "folder": "m"}, "data": {"path": "d"}}
    raw["faults"] = [{"at": "20s", "kind": "slowed", "share": 0.1, "delay": "300ms"}]
    experiment = Experiment.parse(raw, "x.toml")
    (tmp_path / "experiment.toml").write_text(experiment.to_toml())
    assert Experiment.load_file(str(tmp_path / "experiment.toml")) == experiment
