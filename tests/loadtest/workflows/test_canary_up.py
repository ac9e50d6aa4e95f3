import itertools

from loadtest.errors import StartError
from loadtest.workflows.canary_up import Keeper


class Lab:
    """Services end when a test says so; ``broken`` ones do not start again."""

    def __init__(self):
        self.gone = []
        self.broken = set()
        self.restarted = []

    def ended(self):
        return list(self.gone)

    def restart(self, service):
        self.restarted.append(service)
        if service in self.broken:
            raise StartError(f"{service} did not start: it ended with exit code 1")
        self.gone.remove(service)


def test_what_ends_is_started_again():
    lab, said = Lab(), []
    keeper = Keeper(lab, said.append, clock=lambda: 0.0)
    keeper.check()
    assert lab.restarted == []
    lab.gone = ["gateway", "candidate"]
    keeper.check()
    assert lab.restarted == ["gateway", "candidate"]
    assert said == [f"{service} ended and was started again" for service in lab.restarted]


def test_what_ended_again_and_again_and_then_ran_well_is_started_again_at_once():
    lab, now = Lab(), [0.0]
    keeper = Keeper(lab, lambda _: None, clock=lambda: now[0])
    for ended in (0.0, 1.5, 4.0, 8.5):
        now[0] = ended
        lab.gone = ["gateway"]
        keeper.check()
    assert len(lab.restarted) == 4
    # within the pause of 16 s, but it ran for longer than a service that cannot start does
    now[0] = 8.5 + 11
    lab.gone = ["gateway"]
    keeper.check()
    assert len(lab.restarted) == 5


def test_what_does_not_start_again_is_tried_more_and_more_seldom():
    lab, said, now = Lab(), [], [0.0]
    lab.gone, lab.broken = ["candidate"], {"candidate"}
    keeper = Keeper(lab, said.append, clock=lambda: now[0])
    tried = []
    for tenth in range(1000):
        now[0] = tenth / 10
        before = len(lab.restarted)
        keeper.check()
        if len(lab.restarted) > before:
            tried.append(now[0])
    assert [round(b - a) for a, b in itertools.pairwise(tried)] == [1, 2, 4, 8, 16, 30, 30]
    assert said[0] == (
        "candidate ended and does not start again (candidate did not start: it ended with exit code 1); "
        "next try in 1 s"
    )
