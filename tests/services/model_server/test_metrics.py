"""What the metrics say after requests, and that Prometheus' own linter likes them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry

from services.model_server.canary.feedback import RecentPredictions, Trial, Trials
from services.model_server.http.app import create_app
from services.model_server.http.inference import Settings

INFER = "/v2/models/shop/infer"


def infer(client: Any, rows: list[list[float]], **changes: Any) -> Any:
    tensor = {"name": "features", "datatype": "FP64", "shape": [len(rows), 4], "data": rows}
    return client.post(INFER, data=orjson.dumps({"inputs": [tensor]} | changes))


def feedback(client: Any, **document: Any) -> Any:
    return client.post("/v2/models/shop/feedback", data=orjson.dumps(document))


TOKEN, STEP = "an owner's", {"x-canary-step": "1", "x-canary-arm": "stable"}
HAT, SHOE = [5.0, 0, 0, 0], [0.0, 5, 0, 0]


def test_every_answered_infer_request_is_counted_once(client: Any, registry: CollectorRegistry) -> None:
    def count(code: int) -> float:
        labels = {"version": "v1", "code": str(code)}
        return registry.get_sample_value("loadproof_requests_total", labels) or 0

    paths = [INFER] * 20 + ["/v2/models/other/infer", "/v2/models/shop/versions/v1/infer"]
    for path in paths:
        client.post(path, data=b"{")
    client.post(INFER, data=b"x" * 30_000)
    client.post(INFER, data=b"", headers={"content-type": "text/plain"})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: infer(client.application.test_client(), [HAT]), range(100)))
    # these are no infer requests
    client.get(INFER)
    client.get("/metrics")
    client.get("/v2/models/shop")
    assert {answer.status_code for answer in answers} == {200}
    assert {code: count(code) for code in (200, 400, 404, 405, 413, 415, 500)} == {
        200: 100, 400: 21, 404: 1, 405: 0, 413: 1, 415: 1, 500: 0,
    }  # fmt: skip
    version = {"version": "v1"}
    assert registry.get_sample_value("loadproof_request_duration_seconds_count", version) == 124
    assert registry.get_sample_value("loadproof_requests_in_flight", version) == 0
    assert registry.get_sample_value("loadproof_batch_rows_sum", version) == 100
    batches = registry.get_sample_value("loadproof_batch_rows_count", version)
    assert registry.get_sample_value("loadproof_inference_duration_seconds_count", version) == batches


def test_predictions_by_class(client: Any, registry: CollectorRegistry) -> None:
    infer(client, [HAT, HAT, SHOE])
    counts = {
        label: registry.get_sample_value("loadproof_predictions_total", {"version": "v1", "class": label})
        for label in ("hat", "shoe", "Übergröße")
    }
    assert counts == {"hat": 2, "shoe": 1, "Übergröße": 0}


def test_model_info(client: Any, registry: CollectorRegistry) -> None:
    labels = {"model": "shop", "version": "v1", "platform": "sklearn", "task": "classification"}
    assert registry.get_sample_value("loadproof_model_info", labels) == 1


def test_feedback_of_a_classification(client: Any, registry: CollectorRegistry) -> None:
    infer(client, [HAT, SHOE], id="two")
    made = infer(client, [HAT]).json["id"]
    assert feedback(client, id="two", label=["hat", "hat"]).json == {
        "id": "two",
        "outcomes": ["correct", "incorrect"],
    }
    assert feedback(client, id=made, label="hat").json["outcomes"] == ["correct"]
    # counts once
    assert feedback(client, id=made, label="hat").status_code == 404
    counts = {
        outcome: registry.get_sample_value("loadproof_feedback_total", {"version": "v1", "outcome": outcome})
        for outcome in ("correct", "incorrect", "unknown", "received")
    }
    assert counts == {"correct": 2, "incorrect": 1, "unknown": 1, "received": None}


@pytest.mark.parametrize(
    ("document", "status", "message"),
    [
        ({"id": "two"}, 400, "feedback must be"),
        ({"id": 2, "label": "hat"}, 400, "feedback must be"),
        ({"id": "two", "label": "hat", "x": 1}, 400, "feedback must be"),
        ({"id": "none", "label": "hat"}, 404, "no recent prediction with id 'none'"),
        ({"id": "two", "label": "hat"}, 400, "1 labels for the 2 rows"),
        ({"id": "two", "label": ["hat", None]}, 400, "label must be text, a number"),
        ({"id": "two", "label": ["hat", {}]}, 400, "label must be text, a number"),
    ],
)
def test_wrong_feedback(client: Any, document: dict[str, Any], status: int, message: str) -> None:
    infer(client, [HAT, SHOE], id="two")
    response = feedback(client, **document)
    assert response.status_code == status
    assert message in response.json["error"]
    # what was wrong used nothing up
    assert feedback(client, id="two", label=["hat", "shoe"]).json["outcomes"] == ["correct", "correct"]


def test_feedback_of_a_regression(versions: Any, registry: CollectorRegistry) -> None:
    client = create_app(versions["regression"], registry).test_client()
    answer = infer(client, [HAT]).json
    predicted = answer["outputs"][0]["data"][0]
    assert feedback(client, id=answer["id"], label="high").status_code == 400
    assert feedback(client, id=answer["id"], label=predicted + 2).json["outcomes"] == ["received"]
    version = {"version": "v1"}
    assert registry.get_sample_value("loadproof_feedback_absolute_error_sum", version) == pytest.approx(2)
    assert registry.get_sample_value("loadproof_feedback_absolute_error_count", version) == 1


def test_recent_predictions_stay_bounded() -> None:
    recent = RecentPredictions(capacity=4)
    recent.remember("a", ["x", "y"])
    recent.remember("b", ["x"])
    # the same id again replaces, and does not count twice
    recent.remember("a", ["z", "y"])
    assert recent.look_up("b") == ["x"]
    recent.remember("c", ["x", "x"])
    # b is the oldest now: five rows were one too many
    assert (recent.look_up("b"), recent.look_up("a"), recent.look_up("c")) == (None, ["z", "y"], ["x", "x"])
    recent.remember("huge", ["x"] * 5)
    assert recent.look_up("huge") is None
    assert recent.take("a") == (["z", "y"], None)
    assert recent.take("a") is None
    recent.remember("d", ["x", "x"])
    assert recent.look_up("c") == ["x", "x"]


@pytest.mark.parametrize(
    ("again", "user", "evidence"),
    [
        # the same request, sent again
        (["hat"], 7, Trial(1, 7, "stable")),
        # somebody else's answer under the same id
        (["hat"], 8, None),
        (["shoe"], 7, None),
    ],
)
def test_an_id_of_two_answers_is_no_evidence(again: list[str], user: int, evidence: Trial | None) -> None:
    recent = RecentPredictions(capacity=4)
    recent.remember("a", ["hat"], Trial(1, 7, "stable"))
    recent.remember("a", again, Trial(1, user, "stable"))
    taken = recent.take("a")
    assert taken is not None
    assert taken == (again, evidence)


def test_feedback_forgets_the_oldest(versions: Any, registry: CollectorRegistry) -> None:
    client = create_app(versions["text"], registry, Settings(recent=2)).test_client()
    for name in ("a", "b", "c"):
        infer(client, [HAT], id=name)
    assert [feedback(client, id=name, label="hat").status_code for name in ("a", "b", "c")] == [404, 200, 200]


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not on the PATH")
@pytest.mark.parametrize("kind", ["text", "regression"])
def test_promtool_finds_nothing(kind: str, versions: Any, registry: CollectorRegistry) -> None:
    client = create_app(versions[kind], registry).test_client()
    answer = infer(client, [HAT]).json
    feedback(client, id=answer["id"], label=1)
    client.post(INFER, data=b"{")
    page = client.get("/metrics")
    assert page.content_type == "text/plain; version=0.0.4; charset=utf-8"
    check = subprocess.run(
        ["promtool", "check", "metrics"], input=page.data, capture_output=True, timeout=30, check=False
    )
    assert (check.returncode, check.stdout + check.stderr) == (0, b"")


def asked(client: Any, name: str, headers: dict[str, str], truth: str, rows: int = 1) -> None:
    tensor = {"name": "features", "datatype": "FP64", "shape": [rows, 4], "data": [1.0, 2.0, 3.0, 4.0] * rows}
    document = orjson.dumps({"id": name, "inputs": [tensor]})
    kind = {"content-type": "application/json"}
    assert client.post("/v2/models/shop/infer", data=document, headers=headers | kind).status_code == 200
    assert feedback(client, id=name, label=[truth] * rows).status_code == 200


@pytest.mark.parametrize(
    ("requests", "trials"),
    [
        # the attack that promoted a worse version: pinned, each row with feedback that echoes the answer
        ([({"x-model-version": "candidate"}, 100)] * 90, 0),
        # the same without a pin, as one user: one trial, whatever was sent
        ([({"x-canary-arm": "stable", "x-canary-step": "7", "x-user-id": "eve"}, 100)] * 90, 1),
        # one whom only Python takes for blank, and the gateway has split by
        ([({"x-canary-arm": "stable", "x-canary-step": "7", "x-user-id": "\xa0"}, 1)] * 3, 1),
        # in the next step the user counts again
        ([({"x-canary-arm": "stable", "x-canary-step": step, "x-user-id": "eve"}, 1) for step in "7878"], 2),
        # users are told apart
        ([({"x-canary-arm": "stable", "x-canary-step": "7", "x-user-id": user}, 1) for user in "abcabc"], 3),
        # nothing without an arm, or of one that the gateway does not have
        ([({"x-canary-step": "7"}, 1), ({"x-canary-step": "7", "x-canary-arm": "eve"}, 1)], 0),
        # without a user each request is one of its own, by its first row
        (
            [
                ({"x-canary-arm": "stable", "x-canary-step": "7"}, 100),
                ({"x-canary-arm": "stable", "x-canary-step": "7", "x-user-id": " "}, 1),
            ],
            2,
        ),
    ],
)
def test_what_is_evidence_of_a_canary(
    client: Any, registry: CollectorRegistry, requests: list[tuple[dict[str, str], int]], trials: int
) -> None:
    for number, (headers, rows) in enumerate(requests):
        asked(client, f"r{number}", headers, "hat", rows)
    # of all arms, also such as no gateway has
    samples = [sample for family in registry.collect() for sample in family.samples]
    assert sum(one.value for one in samples if one.name == "loadproof_user_outcomes_total") == trials


def test_a_user_who_is_forgotten_counts_again() -> None:
    trials = Trials(capacity=2)
    assert [trials.first(Trial(1, user, "stable")) for user in (1, 2, 1, 3, 1)] == [
        True, True, False, True, True,
    ]  # fmt: skip


def test_a_long_name_takes_no_more_memory_than_a_short_one() -> None:
    # 10,000 answers are kept for feedback: with names of 58 kB they were 580 MB
    marks = {"HTTP_X_CANARY_STEP": "1", "HTTP_X_CANARY_ARM": "stable"}
    long, short = (Trial.of(marks | {"HTTP_X_USER_ID": name}) for name in ("u" * 58_000, "u"))
    assert long is not None
    assert short is not None
    assert sum(map(sys.getsizeof, long)) == sum(map(sys.getsizeof, short))
    assert long != short


@pytest.mark.parametrize(
    ("token", "headers", "status"),
    [
        # the lab's owner
        (TOKEN, {"x-feedback-token": TOKEN}, 200),
        # a stranger, and one who guesses
        (TOKEN, {}, 401),
        (TOKEN, {"x-feedback-token": ""}, 403),
        (TOKEN, {"x-feedback-token": TOKEN[:-1]}, 403),
        (TOKEN, {"x-feedback-token": "\xfc"}, 403),
        # nobody has opened the route
        ("", {"x-feedback-token": ""}, 403),
    ],
)
def test_one_client_with_many_ids_is_no_evidence_without_the_owners_token(
    versions: Any, registry: CollectorRegistry, token: str, headers: dict[str, str], status: int
) -> None:
    client = create_app(versions["text"], registry, Settings(feedback_token=token)).test_client()
    for number in range(30):
        tensor = {"name": "features", "datatype": "FP64", "shape": [1, 4], "data": [HAT]}
        document = orjson.dumps({"id": str(number), "inputs": [tensor]})
        answer = client.post(INFER, data=document, headers=STEP | {"x-user-id": str(number)}).get_json()
        echo = orjson.dumps({"id": str(number), "label": answer["outputs"][0]["data"][0]})
        answered = client.post("/v2/models/shop/feedback", data=echo, headers=headers)
        assert answered.status_code == status, answered.data
    counted = {"version": "v1", "outcome": "correct", "arm": "stable"}
    evidence = registry.get_sample_value("loadproof_user_outcomes_total", counted)
    assert evidence == (30 if status == 200 else 0)
