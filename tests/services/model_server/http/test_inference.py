"""What the server makes of a request's headers, whoever wrote them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.model_server.http.app import create_app
from services.model_server.http.gateway_queue import GatewayQueue
from services.model_server.http.inference import Settings

BODY = b'{"inputs": [{"name": "features", "datatype": "FP64", "shape": [1, 4], "data": [1, 2, 3, 4]}]}'


class Clocks:
    """Ours, monotonic and not, and the gateway's."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.now, self.ahead = 1000.0, ahead

    def queue(self) -> GatewayQueue:
        return GatewayQueue(clock=lambda: self.now, wall=lambda: 1.7e9 + self.now + self.ahead)

    def had_it(self, ago: float) -> str:
        """What the gateway writes of a request that it had ``ago`` seconds ago."""
        return f"t={1.7e9 + self.now - ago:.3f}"


@pytest.mark.parametrize(
    ("age", "patience", "status"),
    [
        # the gateway waits for 10 s, and 40 have passed before the request was taken up
        (40.0, "10000", 504),
        (5.0, "50000", 200),
        # nobody waits for longer than the server's own time-out
        (40.0, "60000", 504),
        (0.0, "25000", 200),
    ],
)
@pytest.mark.parametrize("ahead", [0.0, 11.0, -11.0])
def test_work_whose_client_has_gone_is_dropped_whatever_the_clocks_say(
    versions: Any, registry: CollectorRegistry, age: float, patience: str, status: int, ahead: float
) -> None:
    clocks = Clocks(ahead)
    queue = clocks.queue()
    client = create_app(versions["text"], registry, Settings(timeout=30.0), queue=queue).test_client()

    def post(ago: float) -> int:
        given = {"x-request-start": clocks.had_it(ago), "x-envoy-expected-rq-timeout-ms": patience}
        return client.post("/v2/models/shop/infer", data=BODY, headers=given).status_code

    assert post(0.0) == 200
    queue.begin({})  # something else keeps the server busy while requests wait
    clocks.now += age
    assert post(age) == status
    name = "loadproof_gateway_clock_offset_seconds"
    offset = registry.get_sample_value(name, {"version": versions["text"].version})
    assert offset == pytest.approx(ahead, abs=0.1)


def test_what_was_spent_in_queues_is_off_the_time_that_is_left(
    versions: Any, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadlines = []
    clocks = Clocks()
    queue = clocks.queue()
    app = create_app(versions["text"], registry, queue=queue)
    batcher = app.extensions["inference"]._batcher
    submit = batcher.submit

    def spy(rows: Any, outputs: Any, deadline: float) -> Any:
        deadlines.append(deadline)
        return submit(rows, outputs, deadline)

    monkeypatch.setattr(batcher, "submit", spy)
    queue.begin({"HTTP_X_REQUEST_START": clocks.had_it(0.0)})
    clocks.now += 4
    began = time.monotonic()
    given = {"x-request-start": clocks.had_it(4.0)}
    assert app.test_client().post("/v2/models/shop/infer", data=BODY, headers=given).status_code == 200
    took = time.monotonic() - began
    # of the server's own 10 s six are left, less what passed before the server looked at its clocks
    assert -took - 0.01 <= deadlines[0] - (began + 6) <= took + 0.01
