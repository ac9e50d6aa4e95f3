"""Answers to mirrored requests are kept, for a while and without the input; other requests leave no trace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from werkzeug.test import Client

from contract.label_text import label_text
from services.model_server.canary.arms import hash_of
from services.model_server.canary.shadow import PAGE, Answers
from services.model_server.http.app import create_app
from services.model_server.http.inference import Settings

INFER = "/v2/models/shop/infer"


def body(data: tuple[float, ...] = (0.5, 1, -2, 3.25), **more: Any) -> dict[str, Any]:
    tensor = {"name": "features", "datatype": "FP64", "shape": [len(data) // 4, 4], "data": data}
    return {"inputs": [tensor]} | more


@pytest.fixture
def client(versions: Any) -> Client:
    return Client(create_app(versions["text"], CollectorRegistry(), Settings(recent=3)))


def ask(client: Client, name: str, mark: str | None = "original", **changes: Any) -> Any:
    headers = {"x-request-id": name} | ({"x-shadow": mark} if mark else {})
    return client.post(INFER, json=body(**changes), headers=headers)


def kept(client: Client, after: int = 0) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = client.get(f"/answers?after={after}").get_json()["records"]
    return records


def test_marked_requests_are_kept_whatever_their_answer_and_without_their_input(client: Client) -> None:
    label = ask(client, "a").get_json()["outputs"][0]["data"][0]
    assert ask(client, "b", "copy", data=(1, 2)).status_code == 400
    first, second = kept(client)
    assert (first["id"], first["mark"], first["status"], first["labels"]) == ("a", "original", 200, [label])
    assert 0 < first["seconds"] < 5
    assert (second["id"], second["mark"], second["status"], second["labels"]) == ("b", "copy", 400, [])
    assert set(first) == {"at", "id", "mark", "status", "seconds", "labels", "user"}


@pytest.mark.parametrize("mark", [None, "something"])
def test_requests_that_are_not_mirrored_are_not_kept(client: Client, mark: str | None) -> None:
    assert ask(client, "a", mark).status_code == 200
    assert client.post("/v2/models/shop/feedback", json={"id": "a", "label": "hat"}).status_code == 200
    assert kept(client) == []


def test_feedback_is_kept_under_the_requests_own_id(client: Client) -> None:
    # the body's id names the answer, the header's is what both versions know the request by
    ask(client, "a", id="mine")
    assert client.post("/v2/models/shop/feedback", json={"id": "mine", "label": "hat"}).status_code == 200
    _, told = kept(client)
    assert (told["id"], told["truth"]) == ("a", ["hat"])


@pytest.mark.parametrize(
    ("kind", "label", "told"), [("bool", "True", "true"), ("int", 1.0, "1"), ("regression", 2, 2)]
)
def test_labels_are_told_as_text_and_values_as_numbers(
    versions: Any, kind: str, label: Any, told: Any
) -> None:
    client = Client(create_app(versions[kind], CollectorRegistry(), Settings(recent=3)))
    predicted = ask(client, "a").get_json()["outputs"][0]["data"][0]
    assert client.post("/v2/models/shop/feedback", json={"id": "a", "label": label}).status_code == 200
    answered, learned = kept(client)
    assert answered["labels"] == [predicted if kind == "regression" else label_text(predicted)]
    assert learned["truth"] == [told]


def test_memory_is_bounded_by_rows_and_the_oldest_go_first(client: Client) -> None:
    for name in "abc":
        ask(client, name)
    ask(client, "d", data=(0.5,) * 8)
    assert [(r["id"], len(r["labels"])) for r in kept(client)] == [("c", 1), ("d", 2)]
    page = client.get("/answers").get_json()
    assert (page["first"], page["next"], page["more"]) == (2, 4, False)
    # more rows than the memory has are not kept at all
    ask(client, "e", data=(0.5,) * 16)
    assert [r["id"] for r in kept(client)] == ["c", "d"]


def test_pages_go_on_where_the_last_one_ended() -> None:
    ring = Answers("classification", capacity=3 * PAGE)
    for number in range(PAGE + 5):
        ring.answered(str(number), str(number), "copy", 200, 0.01, ["x"])
    first = ring.page(0)
    assert (len(first["records"]), first["more"]) == (PAGE, True)
    second = ring.page(first["next"])
    assert [r["id"] for r in second["records"]] == [str(PAGE + n) for n in range(5)]
    assert second["more"] is False
    assert ring.page(second["next"])["records"] == []
    # beyond the end, as after a restart: nothing, and the name of another ring
    assert ring.page(10**6)["next"] == PAGE + 5
    assert Answers("classification", 1).page(0)["ring"] != first["ring"]


def test_a_number_that_is_none_is_refused(client: Client) -> None:
    answer = client.get("/answers?after=-1")
    assert (answer.status_code, "number of records" in answer.get_json()["error"]) == (400, True)


def test_who_asked_is_told_as_a_hash_and_a_blank_name_as_nobody(client: Client) -> None:
    for name, user in (("a", "ann"), ("b", " ann "), ("c", " "), ("d", "bob")):
        headers = {"x-request-id": name, "x-shadow": "copy", "x-user-id": user}
        client.post(INFER, json=body(), headers=headers)
    users = [record["user"] for record in kept(client)]
    # three are kept
    assert users == [hash_of("ann"), None, hash_of("bob")]
    assert len(set(users)) == 3


def test_scores_and_lists_come_along_for_whoever_asks(client: Client) -> None:
    ask(client, "before")
    page = client.get("/answers?after=0&along=scores,ranking").get_json()
    assert (page["lacks"], "scores" in page["records"][0]) == ([], False)
    answer = ask(client, "a", "copy").get_json()
    # the client gets what it asked for
    assert [output["name"] for output in answer["outputs"]] == ["predict"]
    (told,) = client.get("/answers?after=1&along=scores").get_json()["records"]
    best = sorted(zip(told["scores"][0], page["classes"], strict=True), reverse=True)
    assert [name for _, name in best] == told["ranking"][0]
    assert best[0][1] == told["labels"][0]
    assert client.get("/answers?along=prices").status_code == 400


def no_scores(run: Any) -> Any:
    def without(rows: Any, outputs: frozenset[str]) -> Any:
        if "predict_proba" in outputs:
            raise RuntimeError("no scores for these rows")
        return run(rows, outputs)

    return without


@pytest.mark.parametrize(
    ("data", "changed"),
    [
        # scores that are not finite
        ((1e308, 1e308, -1e308, 1e308), lambda run: run),
        # and none at all
        ((0.5, 1, -2, 3.25), no_scores),
    ],
    ids=["not finite", "none"],
)
@pytest.mark.parametrize("batching", [True, False])
def test_what_comes_along_costs_no_user_the_answer(
    versions: Any, data: tuple[float, ...], changed: Any, batching: bool
) -> None:
    version = replace(versions["text"], run=changed(versions["text"].run))
    client = Client(create_app(version, CollectorRegistry(), Settings(batching=batching)))
    alone = ask(client, "a", data=data).get_json()["outputs"]
    client.get("/answers?along=scores")
    answer = ask(client, "b", data=data)
    assert (answer.status_code, answer.get_json()["outputs"]) == (200, alone)
    assert "scores" not in kept(client)[-1]
    # who asks for scores learns that there are none
    assert ask(client, "c", data=data, outputs=[{"name": "predict_proba"}]).status_code in (400, 500)


def test_a_version_without_scores_says_so(versions: Any) -> None:
    app = Client(create_app(versions["regression"], CollectorRegistry(), Settings()))
    page = app.get("/answers?after=0&along=scores,ranking").get_json()
    assert (page["lacks"], "classes" in page) == (["scores", "ranking"], False)
    assert ask(app, "a").status_code == 200


def test_what_comes_along_is_bounded_in_time_and_size() -> None:
    now = [0.0]
    ring = Answers("classification", 30, lambda: now[0], ["a", "b"], ["predict", "predict_proba", "ranking"])
    assert ring.wanted("copy") == frozenset()
    ring.page(0, ["scores", "ranking"])
    assert ring.wanted("copy") == {"predict_proba", "ranking"}
    # nobody else's request costs more
    assert ring.wanted(None) == frozenset()

    def tell(name: str, scores: Any, items: int) -> dict[str, Any]:
        lists = np.empty(1, dtype=object)
        lists[0] = [str(item) for item in range(items)]
        results = {"predict_proba": np.asarray(scores, np.float64), "ranking": lists}
        ring.answered(name, name, "copy", 200, 0.1, ["a"], results=results)
        told: dict[str, Any] = ring.page(0)["records"][-1]
        return told

    told = tell("x", [[0.25, 0.75]], 150)
    assert (told["scores"], len(told["ranking"][0])) == ([[0.25, 0.75]], 100)
    assert "scores" not in tell("y", [[0.0] * 1001], 0)
    # 100 items take as much memory as ten rows
    for name in "abc":
        tell(name, [[0.5, 0.5]], 100)
    assert [record["id"] for record in ring.page(0)["records"]] == ["b", "c"]
    now[0] = 61.0
    assert ring.wanted("copy") == frozenset()
