"""Users who ask at a steady rate, whatever becomes of their requests: ``python -m benchmarks.canary.steady``.

Arguments: the gateway's base URL, the model's name, requests per second, seconds. Every request is sent on
schedule, by one of 1,000 users, unpinned: the first row of the evaluation set. Prints one JSON list: for each
request when it was due, when it was sent, when its answer came (seconds of the machine's monotonic clock),
its status (0: none in 2 s), and the role that answered.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import pyarrow.parquet as pq

from contract.headers import MODEL_VERSION, USER_ID
from loadtest.experiment.experiment import Experiment

if TYPE_CHECKING:
    from loadtest.lab.interface import Lab

TIMEOUT = 2.0
USERS = 1000


class Record(NamedTuple):
    """What came of one request; see above."""

    scheduled_at: float
    sent: float
    done: float
    status: int
    version: str


class Load:
    """Steady users in a process of their own."""

    def __init__(self, lab: Lab, model: str, rate: float, seconds: float) -> None:
        arguments = [lab.endpoints.gateway, model, str(rate), str(seconds)]
        command = [sys.executable, "-m", "benchmarks.canary.steady", *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        time.sleep(1.0)

    def records(self) -> list[Record]:
        """What came of each request, once all are done."""
        out, _ = self._process.communicate()
        if self._process.returncode:
            raise SystemExit("the users ended before their time; their last lines are above")
        return [Record(*record) for record in json.loads(out)]


class Users:
    """The requests of all users, and the connections that they share."""

    def __init__(self, url: str, model: str) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname, parts.port
        with urllib.request.urlopen(f"{url}/v2/models/{model}", timeout=10) as answer:  # noqa: S310
            inputs = json.load(answer)["inputs"]
        data = Experiment.load_file("compare").data.path
        (row,) = pq.read_table(data).slice(0, 1).to_pylist()
        body = json.dumps({"inputs": [_cell(tensor, row[tensor["name"]]) for tensor in inputs]})
        self._request = (
            f"POST /v2/models/{model}/infer HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n{USER_ID}: %d\r\n\r\n{body}"
        )
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.records: list[Record] = []

    async def ask(self, scheduled_at: float, user: int) -> None:
        """One request, recorded whatever comes of it."""
        sent = [scheduled_at]
        try:
            status, version = await asyncio.wait_for(self._exchange(user, sent), TIMEOUT)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            status, version = 0, ""
        self.records.append(Record(scheduled_at, sent[-1], time.monotonic(), status, version))

    def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """One that nobody uses; what the gateway closed meanwhile is no failed request."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and reader.exception() is None:
                return reader, writer
            writer.close()
        return None

    async def _exchange(self, user: int, sent: list[float]) -> tuple[int, str]:
        reader, writer = self._connection() or await asyncio.open_connection(*self._address)
        try:
            sent.append(time.monotonic())
            writer.write((self._request % user).encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
            await reader.readexactly(int(headers["content-length"]))
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
        return int(head.split()[1]), headers.get(MODEL_VERSION, "")


def _cell(tensor: dict[str, Any], value: object) -> dict[str, Any]:
    """A column of one row."""
    described = {name: tensor[name] for name in ("name", "datatype")}
    return described | {"shape": [1, *tensor["shape"][1:]], "data": [value]}


async def steady(url: str, model: str, rate: float, seconds: float) -> list[Record]:
    """Send ``rate`` requests per second and return what came of each, in the order of the answers."""
    users = Users(url, model)
    began = time.monotonic()
    async with asyncio.TaskGroup() as requests:
        for number in range(int(rate * seconds)):
            scheduled_at = began + number / rate
            await asyncio.sleep(scheduled_at - time.monotonic())
            requests.create_task(users.ask(scheduled_at, number * 7919 % USERS))
    return users.records


if __name__ == "__main__":
    url, model, rate, seconds = sys.argv[1:]
    print(json.dumps(asyncio.run(steady(url, model, float(rate), float(seconds)))))
