"""What the gateway's clock says of a wait, and what it does not."""

from __future__ import annotations

import pytest

from services.model_server.http.gateway_queue import GatewayQueue


class Line:
    """A gateway and a server with a clock each; requests come when ``serve`` says, one after the other."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.now, self.gateway = 1000.0, 1.7e9
        self.queue = GatewayQueue(clock=lambda: self.now, wall=lambda: self.gateway + self.now + ahead)

    def serve(self, ago: float, takes: float = 0.0) -> float:
        """Serve a request that the gateway had ``ago`` seconds ago; what is said of its wait."""
        waited = self.queue.begin({"HTTP_X_REQUEST_START": f"t={self.gateway + self.now - ago:.3f}"})
        self.now += takes
        self.queue.end()
        return waited


@pytest.mark.parametrize("ahead", [0.0, 11.0, -11.0, 3600.0])
def test_a_queue_that_grows_is_seen_whatever_the_clocks_say(ahead: float) -> None:
    """Twice as many requests come as can be served: each waits for longer than the last."""
    line = Line(ahead)
    for number in range(100):
        ago = 0.1 * number
        assert line.serve(ago, takes=0.2) == pytest.approx(ago, abs=0.05)
    # they have all been served: nobody waits
    line.now += 10
    assert line.serve(0.0) == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("step", [11.0, -11.0, 60.0, -3600.0])
@pytest.mark.parametrize("pause", [0.0, 0.5, 600.0])
def test_a_clock_that_is_set_is_no_queue(step: float, pause: float) -> None:
    """At whatever moment: under traffic, or while nobody came for ten minutes."""
    line = Line()
    for _ in range(20):
        assert line.serve(0.001, takes=0.01) < 0.05
    line.now += pause
    line.gateway += step
    for _ in range(200):
        assert line.serve(0.001, takes=0.01) < 0.05
        line.now += 0.01


def test_clocks_that_drift_apart_are_no_queue() -> None:
    """A day at 100 parts per million is nine seconds."""
    line = Line()
    for _ in range(24 * 60):
        line.now += 60
        line.gateway -= 60 * 1e-4
        assert line.serve(0.001, takes=0.01) < 0.05


@pytest.mark.parametrize("given", [None, "", "999.5", "t=", "t=-3", "t=nan", "t=1e3", "t=" + "9" * 400])
def test_who_says_nothing_of_use_has_not_waited(given: str | None) -> None:
    line = Line()
    line.serve(0.0)
    assert line.queue.begin({} if given is None else {"HTTP_X_REQUEST_START": given}) == 0
    line.queue.end()
    assert line.serve(0.0) < 0.01


def test_before_anybody_came_nothing_is_known_of_the_clocks() -> None:
    line = Line(ahead=11.0)
    assert line.queue.offset == 0
    line.serve(0.0)
    assert line.queue.offset == pytest.approx(11.0, abs=0.01)
