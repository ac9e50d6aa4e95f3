"""Shadow mode, and the way of feedback: a real Envoy before two stand-ins for the versions."""

import json
import signal

import pytest

from tests.integration.gateway_process import many, running_gateway
from tests.waiting import HUNG, eventually

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
    # users give up long before the gateway would give up on one copy
    gateway.split(0, shadow=True, timeout=10 * HUNG)
    process = gateway.services["candidate"].process
    process.send_signal({"killed": signal.SIGKILL, "paused": signal.SIGSTOP}[hit])
    try:
        # more than the gateway keeps waiting for the candidate: what goes beyond is not sent
        assert many(gateway, 800) == {"stable": 800}
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
                gateway.ask(name, f"/knows?{'yes' if name == knows else 'no'}")
            assert gateway.get(path, **pin).status == 200
        gateway.ask("candidate", "/knows?no")
        assert gateway.get(path, **pin).status == 404
    finally:
        for name in ("stable", "candidate"):
            gateway.ask(name, "/knows?yes")
