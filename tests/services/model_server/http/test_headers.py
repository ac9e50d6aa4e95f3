"""What the server makes of a request's headers, whoever wrote them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.model_server.http import headers
from services.model_server.http.app import create_app
from services.model_server.http.inference import Settings

BODY = b'{"inputs": [{"name": "features", "datatype": "FP64", "shape": [1, 4], "data": [1, 2, 3, 4]}]}'


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("t=999.5", 0.5),
        ("t=990", 10),
        # no header, or not in this form
        (None, 0),
        ("", 0),
        ("999.5", 0),
        ("t=", 0),
        ("t=-3", 0),
        ("t=nan", 0),
        ("t=1e3", 0),
        ("t=" + "9" * 400, 0),
        # two clocks that cannot both be right
        ("t=1000.5", 0),
        ("t=900", 0),
    ],
)
def test_what_was_spent_in_queues(given: str | None, seconds: float) -> None:
    environ = {} if given is None else {"HTTP_X_REQUEST_START": given}
    assert headers.waited(environ, 1000.0) == pytest.approx(seconds)


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
def test_work_whose_client_has_gone_is_dropped(
    versions: Any, registry: CollectorRegistry, age: float, patience: str, status: int
) -> None:
    # each row is 20 s and more from the other answer, whatever holds this process up
    client = create_app(versions["text"], registry, Settings(timeout=30.0)).test_client()
    given = {"x-request-start": f"t={time.time() - age:.3f}", "x-envoy-expected-rq-timeout-ms": patience}
    assert client.post("/v2/models/shop/infer", data=BODY, headers=given).status_code == status


def test_what_was_spent_in_queues_is_off_the_time_that_is_left(
    versions: Any, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadlines = []
    app = create_app(versions["text"], registry)
    batcher = app.extensions["inference"]._batcher
    submit = batcher.submit

    def spy(rows: Any, outputs: Any, deadline: float) -> Any:
        deadlines.append(deadline)
        return submit(rows, outputs, deadline)

    monkeypatch.setattr(batcher, "submit", spy)
    began = time.monotonic()
    given = {"x-request-start": f"t={time.time() - 4:.3f}"}
    assert app.test_client().post("/v2/models/shop/infer", data=BODY, headers=given).status_code == 200
    took = time.monotonic() - began
    # of the server's own 10 s six are left, less what passed before the server looked at its clocks
    assert -took - 0.01 <= deadlines[0] - (began + 6) <= took + 0.01
