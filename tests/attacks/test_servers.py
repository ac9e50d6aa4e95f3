"""Servers that lie, and the verdict that each must get through the whole of ``loadproof compare``.

Each is a small HTTP server of its own; gates are wide, so that no row is about how fast this machine is.
"""

import itertools
import json
import re
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from loadtest.errors import ExitCode
from tests.command import command

pytestmark = pytest.mark.integration

PAGE = Path(__file__).parents[2] / "docs" / "what-cannot-fool-it.md"
EXPERIMENT = """
name = "attack"
gates = {gates}

[model]
name = "m"
folder = "m"

[data]
path = "{data}"
label = "y"
features = ["x"]

[load]
rate = {rate}
duration = "{seconds}s"
baseline = "{baseline}"
warmup = "1s"
max_lag = "2s"
timeout = "10s"
control = {has_control}

[target]
stable = "{stable}"
candidate = "{candidate}"
{control}
protocol = "kserve-v1"
"""


def serve(answer):
    """A server that says what ``answer`` makes of the row and the request's number, or has that status."""
    counter = itertools.count()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self):
            row = json.loads(self.rfile.read(int(self.headers["content-length"])))["instances"][0][0]
            said = answer(int(row), next(counter))
            if said is None:  # it closes without a word, as one does that closes what is idle
                self.close_connection = True
                return
            body = json.dumps({"predictions": [said]}).encode()
            self.send_response(said if isinstance(said, HTTPStatus) else HTTPStatus.OK)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


def honest(row, _):
    return row % 2


def slow(seconds):
    """Honest, and not quick."""

    def answer(row, _):
        time.sleep(seconds)
        return row % 2

    return answer


def caching(miss):
    """Honest, but what it was asked before it knows at once."""
    known = set()

    def answer(row, _):
        if row not in known:
            time.sleep(miss)
            known.add(row)
        return row % 2

    return answer


def every(count, lie):
    """Honest, but for every ``count``-th request of the load (the first ones are looked at before it)."""
    return lambda row, number: lie if number > 60 and number % count == 0 else row % 2


class Setting(NamedTuple):
    """What is asked, and how much of it."""

    gates: tuple[str, ...] = ("error_rate <= stable + 5pp", "accuracy >= stable - 20pp")
    rows: int = 400
    rate: int = 40
    seconds: int = 5
    control: Callable[[int, int], object] | None = None
    baseline: str = "60s"


# a gate on latency needs half a minute, and here no row comes twice
LATENCY = Setting(("p50 <= stable + 20ms",), rows=800, rate=15, seconds=31)
SCORES = (lambda row, _: 0.25 + row / 1000,) * 2
ATTACKS = {
    "nobody lies": (honest, honest, ExitCode.PASS, ""),
    # they differ by nothing
    "both versions answer scores where the labels are classes": (*SCORES, ExitCode.USAGE, "scores"),
    "the candidate answers `no` and `yes` where the labels are 0 and 1": (
        honest,
        lambda row, _: ("no", "yes")[row % 2],
        ExitCode.USAGE,
        "the candidate failed",
    ),
    "one answer of the candidate in five is `internal error`, with status 200": (
        honest,
        every(5, "internal error"),
        ExitCode.FAIL,
        "not an answer of this model",
    ),
    "one in five is `nan`": (honest, every(5, "nan"), ExitCode.FAIL, "not an answer of this model"),
    'one in five is `{"error": ...}`': (
        honest,
        every(5, {"error": "out of memory"}),
        ExitCode.FAIL,
        "out of memory",
    ),
    # no fault of the version: every server closes what is idle at some time
    "the candidate closes kept connections now and then, before it answers": (
        honest,
        every(25, None),
        ExitCode.PASS,
        "sent once more",
    ),
    # half of the rows were asked before the load: the median over all of them hides the misses
    # no row is asked before, so that the warm-up is what comes after the first rows; a second has 40 requests
    "the candidate refuses a few requests of the load before the measurement begins": (
        honest,
        lambda row, number: HTTPStatus.SERVICE_UNAVAILABLE if 30 <= number < 34 else row % 2,
        ExitCode.PASS,
        "errors in the warm-up",
        Setting(baseline="0s"),
    ),
    # they are said to be one version: what the gates find between them is no noise
    "the second deployment of stable is another build, wrong on every other row": (
        honest,
        honest,
        ExitCode.INVALID,
        "stable and a second deployment of it differ by",
        Setting(control=lambda row, _: 0),
    ),
    "the candidate takes 60 ms for a new row, and none for one it knows; stable takes 10 ms for each": (
        slow(0.010),
        caching(0.060),
        ExitCode.FAIL,
        "answers of candidate look cached",
        LATENCY,
    ),
}
"""A row of the page: what stable and the candidate do, the exit code, what is said, and the setting."""


def test_the_page_shows_these_attacks():
    rows = re.findall(
        r"^\| ([^|]+?) \| (PASS|FAIL|INVALID|exit code 2, before the load)\b", PAGE.read_text("utf-8"), re.M
    )
    before = {ExitCode.USAGE: "exit code 2, before the load"}
    assert dict(rows) == {attack: before.get(code, code.name) for attack, (_, _, code, *_) in ATTACKS.items()}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_verdict(tmp_path, attack):
    stable, candidate, code, says, *given = ATTACKS[attack]
    setting = given[0] if given else Setting()
    rows = "".join(f"{row},{row % 2}\n" for row in range(setting.rows))
    (tmp_path / "rows.csv").write_text("x,y\n" + rows, encoding="utf-8")
    servers = [serve(one) for one in (stable, candidate, setting.control) if one]
    urls = [f"http://127.0.0.1:{server.server_port}" for server in servers]
    (tmp_path / "attack.toml").write_text(
        EXPERIMENT.format(
            stable=urls[0],
            candidate=urls[1],
            control=f'control = "{urls[2]}"' if setting.control else "",
            baseline=setting.baseline,
            has_control="true" if setting.control else "false",
            data=tmp_path / "rows.csv",
            gates=json.dumps(setting.gates),
            rate=setting.rate,
            seconds=setting.seconds,
        ),
        encoding="utf-8",
    )
    options = ["--experiment", str(tmp_path / "attack.toml"), "--results", str(tmp_path / "results")]
    ended, said = command("compare", *options)
    for server in servers:
        server.shutdown()
        server.server_close()
    assert ended == code, said
    assert says in said
