"""Injected faults: refused unless allowed, and seen where a sick version's own would be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from services.model_server.canary.faults import Faults
from services.model_server.http.app import create_app

BODY = {"inputs": [{"name": "features", "datatype": "FP64", "shape": [1, 4], "data": [3.0, 0.0, 0.0, 0.0]}]}
INFER = "/v2/models/shop/infer"


def client_with(version: Any, faults: Faults | None, registry: CollectorRegistry | None = None) -> Any:
    return create_app(version, registry or CollectorRegistry(), faults=faults).test_client()


@pytest.mark.parametrize("method", ["get", "put", "post"])
def test_a_server_that_does_not_allow_faults_has_no_such_route(client: Any, method: str) -> None:
    assert getattr(client, method)("/faults", json=[]).status_code == 404


def test_failing_is_a_500_that_the_metrics_count(versions: Any, registry: CollectorRegistry) -> None:
    draws = iter([0.4, 0.6])
    client = client_with(versions["text"], Faults(None, chance=lambda: next(draws)), registry)
    assert client.put("/faults", json=[{"kind": "failing", "share": 0.5}]).json == [
        {"kind": "failing", "share": 0.5, "delay": 0.0}
    ]
    answers = [client.post(INFER, json=BODY) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [500, 200]
    assert answers[0].json == {"error": "an injected fault: this version fails on purpose"}
    count = "loadproof_requests_total"
    assert registry.get_sample_value(count, {"version": "v1", "code": "500"}) == 1
    # healed: nothing is drawn any more
    assert client.put("/faults", json=[]).json == []
    assert client.post(INFER, json=BODY).status_code == 200


def test_a_wrong_answer_is_wrong_for_the_caller_and_for_the_feedback(versions: Any) -> None:
    version = versions["text"]
    client = client_with(version, Faults(version.classes))
    right = client.post(INFER, json=BODY).json["outputs"][0]["data"][0]
    client.put("/faults", json=[{"kind": "wrong"}])
    answer = client.post(INFER, json=BODY).json
    assert answer["outputs"][0]["data"][0] != right
    assert answer["outputs"][0]["data"][0] in version.classes
    feedback = client.post("/v2/models/shop/feedback", json={"id": answer["id"], "label": right})
    assert feedback.json["outcomes"] == ["incorrect"]


def test_slowed_waits_before_the_model_runs(versions: Any) -> None:
    waited: list[float] = []
    client = client_with(versions["text"], Faults(None, sleep=waited.append))
    client.put("/faults", json=[{"kind": "slowed", "delay": 0.3}])
    assert client.post(INFER, json=BODY).status_code == 200
    assert waited == [0.3]


@pytest.mark.parametrize(
    ("classes", "given"),
    [
        (("hat", "shoe", "Übergröße"), ["shoe", "hat"]),
        ((0, 1, 2), [2, 0]),
        ((False, True), [True, False]),
        # a regression, and classes that nobody knows
        (None, [1.5, -1.0]),
        (None, ["hat", "shoe"]),
    ],
)
def test_every_kind_of_prediction_can_be_wrong(classes: Any, given: list[Any]) -> None:
    faults = Faults(classes)
    faults.replace([{"kind": "wrong", "share": 1}])
    wrong = faults.after({"predict": np.array(given), "other": np.zeros(2)})
    assert all(a != b for a, b in zip(wrong["predict"].tolist(), given, strict=True))
    assert set(wrong) == {"predict", "other"}
    assert not classes or set(wrong["predict"].tolist()) <= set(classes)


def test_a_share_of_the_rows_is_wrong() -> None:
    draws = iter([0.04, 0.06, 0.99])
    faults = Faults((0, 1), chance=lambda: next(draws))
    faults.replace([{"kind": "wrong", "share": 0.05}])
    assert faults.after({"predict": np.zeros(3, dtype=int)})["predict"].tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "faults must be a list"),
        (["slowed"], "a fault has a kind of slowed, wrong, failing"),
        ([{"kind": "killed"}], "a fault has a kind of slowed, wrong, failing"),
        ([{"kind": "slowed", "seconds": 1}], "a fault has a kind"),
        ([{"kind": "slowed", "share": 0}], "share of a fault is above 0 and up to 1, not 0"),
        ([{"kind": "slowed", "share": True}], "share of a fault"),
        ([{"kind": "slowed", "delay": 61}], "delay of a fault is 0 to 60 seconds, not 61"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_and_changes_nothing(
    versions: Any, document: Any, message: str
) -> None:
    client = client_with(versions["text"], Faults(None))
    client.put("/faults", json=[{"kind": "failing"}])
    answer = client.put("/faults", json=document)
    assert answer.status_code == 400
    assert message in answer.json["error"]
    assert client.post(INFER, json=BODY).status_code == 500
