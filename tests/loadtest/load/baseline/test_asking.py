import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.load.baseline.asking import ASKED_AGAIN, GIVES_UP, BaselineAsker
from loadtest.load.protocols.oip import OpenInference
from loadtest.load.sending.http_client import Answer

ROWS = 50
DATASET = Dataset(
    Path("e.csv"),
    np.arange(ROWS, dtype=float)[:, None],
    ("x",),
    np.array([f"c{row}" for row in range(ROWS)]),
    None,
    pa.table({}),
)


class FakeClient:
    """Answers at once what ``behave`` makes of the row and the number of the request."""

    def __init__(self, behave):
        self.behave, self.ids, self.closed = behave, [], False

    def head(self, path, role):
        return f"{path} {role}".encode()

    def post(self, head, body, request_id):
        assert head == b"/v2/models/m/infer candidate"
        row = int(json.loads(body)["inputs"][0]["data"][0])
        self.ids.append(request_id.decode())
        answer = self.behave(row, len(self.ids))
        if isinstance(answer, int):
            return Answer(0.0, 0.0, answer, b"", None, None)
        return Answer(
            0.0, 0.0, 200, json.dumps({"outputs": [{"data": [answer]}]}).encode(), "candidate", None
        )

    def close(self):
        self.closed = True


def asked(behave, until=float("inf"), is_wanted=lambda: True, *, check=True, **how):
    client = FakeClient(behave)
    rows, codec = list(range(ROWS - 1, -1, -1)), OpenInference("m", "x", "FP64")
    asking = BaselineAsker("candidate", codec, DATASET, rows, client, "run", check=check)
    reach = asking.run(until, is_wanted, **how)
    assert client.closed
    return asking, reach, client


def test_every_row_once_and_some_again():
    asking, reach, client = asked(lambda row, _: f"c{row}")
    assert asking.answers == {row: f"c{row}" for row in range(ROWS)}
    assert reach[:4] == (ROWS, ROWS, ROWS, ROWS + ASKED_AGAIN)
    assert reach.steady
    assert len(set(client.ids)) == ROWS + ASKED_AGAIN
    assert client.ids[0] == "run-candidate-baseline-1"


@pytest.mark.parametrize(
    ("behave", "answered", "steady"),
    [
        # another answer at the second look
        (lambda _, n: f"c{n}", ROWS, False),
        # at one of the rows that are asked again
        (lambda row, n: f"c{row}" if n != ROWS + ASKED_AGAIN else "x", ROWS, False),
        # an error is no answer, and no contradiction
        (lambda row, _: 503 if row % 2 else f"c{row}", ROWS // 2, True),
        (lambda row, n: f"c{row}" if n <= ROWS else 503, ROWS, True),
        (lambda *_: 503, 0, True),
    ],
)
def test_what_a_version_may_do_alone(behave, answered, steady):
    _, reach, _ = asked(behave)
    assert (reach.answered, reach.steady) == (answered, steady)


def test_when_the_time_is_up_the_rest_goes_without():
    _, reach, client = asked(lambda row, _: f"c{row}", until=0.0)
    assert (reach.rows, reach.asked, client.ids) == (ROWS, 0, [])


def test_nobody_wants_more():
    wanted = iter([True] * 5 + [False] * 2)
    _, reach, client = asked(lambda row, _: f"c{row}", is_wanted=lambda: next(wanted))
    assert (reach.asked, len(client.ids)) == (5, 5)


def test_a_version_that_answers_no_more_is_not_asked_on():
    """Each row that is not answered may take its whole time-out, after the load, while somebody waits."""
    asking, reach, _ = asked(
        lambda row, n: f"c{row}" if n <= 5 else 503, check=False, again=False, gives_up=True
    )
    assert (reach.asked, reach.answered) == (5 + GIVES_UP, 5)
    assert list(asking.asked_rows.values()).count(None) == GIVES_UP
