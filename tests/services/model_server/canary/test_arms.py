"""Who came by which arm: what a request leaves, and what a reader is told."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from werkzeug.test import Client

from services.model_server.canary.arms import PAGE, STRAGGLERS, Arms
from services.model_server.http.app import create_app


def request(
    step: str = "4", arm: str = "stable", user: str = "", name: str = "r", **more: str
) -> dict[str, Any]:
    return {
        "HTTP_X_CANARY_STEP": step, "HTTP_X_CANARY_ARM": arm,
        "HTTP_X_USER_ID": user, "HTTP_X_REQUEST_ID": name,
    } | more  # fmt: skip


NOBODY = [
    # pinned, or past the gateway: no marks
    {},
    {"HTTP_X_USER_ID": "ann", "HTTP_X_CANARY_STEP": "4"},
    {"HTTP_X_USER_ID": "ann", "HTTP_X_CANARY_ARM": "stable"},
    # marks that no gateway sets
    request(step="four"),
    request(arm="control"),
    # a number that Python does not read, and one that is none to the gateway
    request(step="9" * 5000),
    request(step="\u0664"),
    # the mirrored copy of a request that stable counts
    request(user="ann", HTTP_X_SHADOW="copy"),
]


@pytest.mark.parametrize("environ", NOBODY)
def test_what_leaves_no_trace(environ: dict[str, Any]) -> None:
    arms = Arms()
    arms.came(environ)
    page = arms.page(0)
    assert page["units"] == []
    assert page["requests"] == {"stable": 0, "candidate": 0}


def test_a_user_is_one_unit_per_arm_and_a_request_without_one_is_its_own() -> None:
    arms = Arms()
    for name in "abc":
        arms.came(request(user="ann", name=name))
        arms.came(request(user=" ", arm="candidate", name=name))
    arms.came(request(user="ann", arm="candidate"))
    page = arms.page(0)
    assert [unit[1:] for unit in page["units"]] == [(0, 1), (1, 0), (1, 0), (1, 0), (1, 1)]
    assert page["units"][0][0] == page["units"][-1][0]
    assert page["requests"] == {"stable": 3, "candidate": 4}
    # ann asked three times; whoever names nobody asks once
    assert page["squares"] == {"stable": 9, "candidate": 4}


@pytest.mark.parametrize(
    ("user", "units"),
    [
        # blank to the gateway, which takes such a header away
        ("", 2),
        (" \t", 2),
        # blank to Python alone: the gateway has split by it, so it is one user
        ("\xa0", 1),
        ("\x85", 1),
        ("\u3000".encode().decode("latin-1"), 1),
    ],
)
def test_who_is_a_user_to_the_gateway_is_one_here(user: str, units: int) -> None:
    arms = Arms()
    for name in "ab":
        arms.came(request(user=user, name=name))
    assert len(arms.page(0)["units"]) == units


def test_a_page_holds_a_bounded_number_and_says_whether_there_are_more() -> None:
    arms = Arms(capacity=PAGE + 5)
    for number in range(PAGE + 10):
        arms.came(request(user=f"u{number}"))
    first, full = arms.page(0), arms.page(PAGE)
    assert (len(first["units"]), first["more"], first["next"]) == (PAGE, True, PAGE)
    assert (len(full["units"]), full["more"], full["full"]) == (5, False, True)
    # counted all the same
    assert full["requests"]["stable"] == PAGE + 10


def test_a_step_begins_anew_and_stragglers_of_the_last_one_are_none_of_it() -> None:
    now = [0.0]
    arms = Arms(clock=lambda: now[0])
    arms.came(request(step="4", user="ann"))
    arms.came(request(step="5", user="bob"))
    arms.came(request(step="4", user="cid"))
    assert (arms.page(0)["step"], len(arms.page(0)["units"])) == (5, 1)
    # long after: the lab has a new state, whose numbers begin again
    now[0] = STRAGGLERS
    arms.came(request(step="1", user="ann"))
    assert (arms.page(0)["step"], len(arms.page(0)["units"])) == (1, 1)


def test_the_server_tells_it_and_no_name(versions: Any) -> None:
    client = Client(create_app(versions["text"], CollectorRegistry()))
    tensor = {"name": "features", "datatype": "FP64", "shape": [1, 4], "data": [0.5, 1, -2, 3.25]}
    headers = {"x-canary-step": "2", "x-canary-arm": "candidate", "x-user-id": "ann"}
    client.post("/v2/models/shop/infer", json={"inputs": [tensor]}, headers=headers)
    answer = client.get("/arms")
    assert [unit[1:] for unit in answer.get_json()["units"]] == [[1, 1]]
    assert "ann" not in answer.get_data(as_text=True)
    assert client.get("/arms?after=x").status_code == 400
