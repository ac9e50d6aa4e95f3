"""A server with known delays, in a process of its own: ``python double.py '{"delays": [0.005, 0.02]}'``.

It speaks just enough of the Open Inference Protocol v2. The first feature of a row is its index; row ``i`` is
answered ``delays[i % len(delays)]`` seconds after it arrived, with the prediction ``i % 2``. Every request is
counted as it arrives. Settings:

``delays``        seconds, cycled over the rows
``features``      number of features in the metadata (2)
``hold``          ``[n, m]``: from the n-th infer request on nothing is answered until the m-th has arrived
``close_every``   closes the connection after every n-th answer, without announcing it
``status``        answers every infer request with this status
``split``         percent of the users (by the number in x-user-id) who get the candidate without a pin
``swap_every``    at every n-th request to the candidate, its answer and that of another one that is under way
                  are swapped (as soon as there are two that differ)
``cut_every``     cuts the answer to every n-th request to the candidate off in the middle

Prints its port. ``GET /seen`` tells what it counted; ``log``, a record per answered infer request: row,
version, number of the connection, when it arrived and when it was answered; ``held``, when holding began and
ended; ``traces``, a record per infer request with a ``traceparent``: row, version, value; and ``clock``, its
wall clock less the clock of all these times, which is ``time.monotonic``.
"""

import asyncio
import json
import socket
import sys
import time

SETTINGS = {
    "delays": [0.0],
    "features": 2,
    "hold": None,
    "close_every": 0,
    "status": 200,
    "split": None,
    "swap_every": 0,
    "cut_every": 0,
} | json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}")
SEEN = {"stable": 0, "candidate": 0, "other": 0, "connections": 0}
LOG = []
USERS = {}
FEEDBACK = []
TRACES = []
"""Row, version and ``traceparent`` of the infer requests that carried one."""
UNDER_WAY = []
SWAPPED = []
"""The ids of the candidate's requests whose answers were swapped."""
OWED = {"swaps": 0}
HELD = []
"""When holding began and ended."""
WAITING = []
"""What is to be done when holding ends."""


class Double(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.data = b""
        self.answers = 0
        SEEN["connections"] += 1
        self.number = SEEN["connections"]

    def data_received(self, data):
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[:end].decode().lower()
            headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
            length = int(headers.get("content-length", 0))
            if len(self.data) < end + 4 + length:
                return
            body, self.data = self.data[end + 4 : end + 4 + length], self.data[end + 4 + length :]
            version = headers.get("x-model-version") or self.chosen(headers)
            self.request(head.split(" ", 2), version, body, headers)

    def chosen(self, headers):
        if SETTINGS["split"] is None or "x-user-id" not in headers:
            return "other"
        user = int(headers["x-user-id"].removeprefix("user-"))
        return "candidate" if user % 100 < SETTINGS["split"] else "stable"

    def request(self, line, version, body, headers):
        if line[0] == "get":
            tensor = {"name": "x", "datatype": "FP64", "shape": [-1, SETTINGS["features"]]}
            seen = SEEN | {
                "log": LOG,
                "feedback": FEEDBACK,
                "swapped": SWAPPED,
                "held": HELD,
                "traces": TRACES,
            }
            seen["clock"] = time.time() - time.monotonic()
            self.answer(version, seen if line[1] == "/seen" else {"inputs": [tensor]})
            return
        now = time.monotonic()
        if line[1].endswith("/feedback"):
            said = json.loads(body)
            told, row, at = USERS[said["id"]]
            FEEDBACK.append((version, told, row, said["label"], now - at))
            self.answer(version, {})
            return
        SEEN[version] += 1
        row = int(json.loads(body)["inputs"][0]["data"][0])
        request_id = headers.get("x-request-id")
        USERS[request_id] = (version, row, now)
        if "traceparent" in headers:
            TRACES.append((row, version, headers["traceparent"]))
        output = {"name": "predict", "datatype": "INT64", "shape": [1], "data": [row % 2]}
        if SETTINGS["swap_every"] and version == "candidate":
            self.swap(request_id, output)
        cut = version == "candidate" and SETTINGS["cut_every"] and SEEN[version] % SETTINGS["cut_every"] == 0
        record = (row, version, self.number, now)
        answer = (version, {"outputs": [output]}, SETTINGS["status"], record, cut)
        delay = SETTINGS["delays"][row % len(SETTINGS["delays"])]
        self.hold(now, lambda: asyncio.get_running_loop().call_later(delay, self.answer, *answer))

    def hold(self, now, go_on):
        """Go on at once, but not while answers are held."""
        count = SEEN["stable"] + SEEN["candidate"]
        first, last = SETTINGS["hold"] or (0, 0)
        if not first <= count <= last or len(HELD) == 2:
            go_on()
            return
        WAITING.append(go_on)
        if not HELD:
            HELD.append(now)
        if count == last:
            HELD.append(time.monotonic())
            for waiting in WAITING:
                waiting()

    def swap(self, request_id, output):
        OWED["swaps"] += SEEN["candidate"] % SETTINGS["swap_every"] == 0
        for other_id, other in UNDER_WAY:
            if OWED["swaps"] and other["data"] != output["data"]:
                other["data"], output["data"] = output["data"], other["data"]
                OWED["swaps"] -= 1
                SWAPPED.extend((other_id, request_id))
        UNDER_WAY.append((request_id, output))

    def answer(self, version, content, status=200, record=None, cut=False):
        UNDER_WAY[:] = [
            pair for pair in UNDER_WAY if all(pair[1] is not o for o in content.get("outputs", ()))
        ]
        body = json.dumps(content).encode()
        head = (
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
            f"x-model-version: {version}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        if cut:
            self.transport.write(head.encode() + body[: len(body) // 2])
            self.transport.close()
            return
        if record is not None:
            # before it is sent: nobody can have it earlier
            LOG.append((*record, time.monotonic()))
        self.answers += 1
        if SETTINGS["close_every"] and self.answers % SETTINGS["close_every"] == 0:
            self.send_last(head.encode() + body)
        else:
            self.transport.write(head.encode() + body)

    def send_last(self, answer):
        """The answer and the end of the connection in one packet: whoever has read it can know of the end."""
        sock = self.transport.get_extra_info("socket")
        if hasattr(socket, "TCP_CORK"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        self.transport.write(answer)
        self.transport.write_eof()


async def main():
    server = await asyncio.get_running_loop().create_server(Double, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
