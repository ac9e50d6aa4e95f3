"""A canary's gateway in a lab of the command, while versions fail, die and come back."""

import json
from collections import Counter

import pytest

from loadtest.errors import LabError
from loadtest.experiment.experiment import Fault
from loadtest.fetch import get
from loadtest.lab.gateway.signature import sign
from tests.compose.waiting import HUNG, eventually

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]


@pytest.mark.parametrize("kind", ["killed", "paused"])
def test_users_of_a_candidate_that_is_hit_all_get_an_answer(lab, kind):
    lab.canary.update(lambda state: state.set(25, sign("a step")))
    before = lab.canary.read()
    lab.inject("candidate", Fault(kind=kind))
    try:
        lab.check()
        assert lab.ended() == []
        url = f"{lab.endpoints.gateway}/v2/models/tiny"
        answers = [get(url, HUNG, {"x-user-id": str(user)}) for user in range(60)]
        assert Counter(a.status if a else None for a in answers) == {200: 60}
        assert {a.headers["x-model-version"] for a in answers} == {"stable"}
    finally:
        lab.heal("candidate")
    lab.check()
    assert lab.canary.read() == before
    lab.restart("gateway")
    assert json.loads(get(f"{lab.endpoints.gateway}/split", HUNG).body)["serial"] == before.now.serial


def test_a_version_of_a_lab_that_dies_is_started_again(lab, docker):
    container = lab._containers["stable"].id
    docker.run("kill", "--signal", "KILL", container, timeout=30)
    assert eventually(lab.ended) == ["stable"]
    lab.restart("stable")
    assert lab.ended() == []
    lab.check()


def test_a_lab_that_does_not_allow_faults_says_so(lab):
    with pytest.raises(LabError, match="candidate takes no faults; start its model server with ALLOW_FAULTS"):
        lab.inject("candidate", Fault(kind="failing"))
