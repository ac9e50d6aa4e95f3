"""Room for bodies: how many bytes are worked on at a time, and who waits for whom."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import Any

import orjson
import pytest

from services.model_server.errors import DeadlinePassed, QueueFull
from services.model_server.http.body_room import FREE, MOST_WAITING, SMALL, BodyRoom
from services.model_server.http.inference import room_for
from tests.waiting import HUNG, eventually

LARGEST = 2**20
NOW, FAR = 100.0, 100.0 + HUNG


def room() -> BodyRoom:
    return BodyRoom(LARGEST, clock=lambda: NOW)


@pytest.mark.parametrize(
    ("held", "asked", "waits"),
    [
        # one of the largest at a time, whatever the other's size
        ([LARGEST], LARGEST, True),
        ([LARGEST], SMALL + 1, True),
        ([LARGEST // 2], LARGEST // 2, False),
        ([LARGEST // 2, LARGEST // 4], LARGEST // 2, True),
        # small ones have a room of their own, a quarter as large
        ([LARGEST], SMALL, False),
        ([SMALL] * 3, SMALL, False),
        ([SMALL] * 4, SMALL, True),
        ([SMALL] * 4, LARGEST, False),
        # the smallest wait for nobody
        ([LARGEST, *[SMALL] * 4], FREE, False),
        ([FREE] * 10_000, SMALL, False),
    ],
)
def test_who_waits(held: list[int], asked: int, waits: bool) -> None:
    bodies = room()
    with ExitStack() as others:
        for length in held:
            others.enter_context(bodies.of(length, NOW))
        if waits:
            with pytest.raises(DeadlinePassed), bodies.of(asked, NOW):
                raise AssertionError("there was no room")
        else:
            with bodies.of(asked, NOW):
                pass
    # all of them are gone, and so is the one that failed
    with pytest.raises(KeyError), bodies.of(LARGEST, NOW):
        raise KeyError
    with bodies.of(LARGEST, NOW):
        pass


def test_who_waits_gets_the_room_of_those_who_leave_and_too_many_are_refused() -> None:
    bodies, done = room(), []

    def work() -> None:
        with bodies.of(LARGEST, FAR):
            done.append(1)

    threads = [threading.Thread(target=work) for _ in range(MOST_WAITING)]
    with bodies.of(LARGEST, NOW):
        for thread in threads:
            thread.start()

        def refused() -> bool:
            try:
                with bodies.of(LARGEST, NOW):
                    raise AssertionError("there was no room")
            except QueueFull:
                return True
            except DeadlinePassed:
                return False

        eventually(refused)
        assert not done
    for thread in threads:
        thread.join(HUNG)
    assert len(done) == MOST_WAITING


@pytest.mark.parametrize(
    ("announced", "length"),
    [
        ({"CONTENT_LENGTH": "7"}, 7),
        ({"CONTENT_LENGTH": str(LARGEST)}, LARGEST),
        # too large: it is thrown away as it comes
        ({"CONTENT_LENGTH": str(LARGEST + 1)}, 0),
        # in chunks: nobody knows
        ({}, LARGEST),
        ({"CONTENT_LENGTH": ""}, LARGEST),
    ],
)
def test_room_for_what_is_announced(announced: dict[str, Any], length: int) -> None:
    assert room_for(announced, LARGEST) == length


def test_a_body_whose_answer_fails_gives_its_room_back(client: Any) -> None:
    # each as large as all of the room that this server has
    body = b'{"inputs":[' + b",".join([b"[]"] * 6_000) + b"]}"
    kind = {"content-type": "application/json"}
    statuses = {client.post("/v2/models/shop/infer", data=body, headers=kind).status_code for _ in range(9)}
    assert statuses == {400}
    good = {"name": "features", "datatype": "FP64", "shape": [200, 4], "data": [1.0] * 800}
    assert client.post("/v2/models/shop/infer", data=orjson.dumps({"inputs": [good]}), headers=kind).json
