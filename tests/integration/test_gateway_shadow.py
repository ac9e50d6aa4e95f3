"""Shadow mode, and the way of feedback: a real Envoy before two stand-ins for the versions."""

import json
import signal
import time

import pytest

from loadtest.fetch import get
from tests.integration.test_gateway import eventually, many, running_gateway

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with running_gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


def test_a_shadow_is_seen_by_the_candidate_and_answered_by_stable(gateway):
    gateway.split(0, shadow=True)
    before = {version: gateway.requests(version) for version in ("stable", "candidate")}
    assert many(gateway, 50) == {"stable": 50}
    eventually(lambda: gateway.requests("candidate") == before["candidate"] + 50)
    assert gateway.requests("stable") == before["stable"] + 50


@pytest.mark.parametrize("shadow", [True, False])
def test_only_the_gateway_marks_what_is_mirrored(gateway, shadow):
    gateway.split(0, shadow=shadow)
    told = json.loads(gateway.get("/v2/echo", x_shadow="copy").body)["headers"]
    assert told.get("x-shadow") == ("original" if shadow else None)
    pinned = json.loads(gateway.get("/v2/echo", x_shadow="copy", x_model_version="stable").body)["headers"]
    assert "x-shadow" not in pinned


@pytest.mark.parametrize("hit", ["killed", "paused"])
def test_a_shadow_that_is_dead_or_silent_costs_users_nothing(gateway, hit):
    gateway.split(0, shadow=True)
    process = gateway.services["candidate"].process
    process.send_signal({"killed": signal.SIGKILL, "paused": signal.SIGSTOP}[hit])
    try:
        began = time.monotonic()
        # more than the gateway keeps waiting for the candidate: what goes beyond is not sent
        assert many(gateway, 800) == {"stable": 800}
        # one copy alone would be waited for for ten seconds
        assert time.monotonic() - began < 9
    finally:
        process.send_signal(signal.SIGCONT)
        gateway.kill("candidate")
        gateway.start("candidate")


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("pin", [{}, {"x_model_version": "stable"}, {"x_model_version": "candidate"}])
def test_feedback_finds_whoever_gave_the_answer_after_a_promotion_too(gateway, swapped, pin):
    gateway.split(10, swapped=swapped)
    path = "/v2/models/shop/versions/v1/feedback"
    try:
        for knows in ("stable", "candidate"):
            for name in ("stable", "candidate"):
                get(f"{gateway.direct(name)}/knows?{'yes' if name == knows else 'no'}", 5.0)
            assert gateway.get(path, **pin).status == 200
        get(f"{gateway.direct('candidate')}/knows?no", 5.0)
        assert gateway.get(path, **pin).status == 404
    finally:
        for name in ("stable", "candidate"):
            get(f"{gateway.direct(name)}/knows?yes", 5.0)
