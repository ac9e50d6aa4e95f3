"""A server with known delays, in a process of its own: ``python double.py '{"delays": [0.005, 0.02]}'``.

It speaks just enough of the Open Inference Protocol v2. The first feature of a row is its index; row ``i`` is
answered ``delays[i % len(delays)]`` seconds after it arrived, with the prediction ``i % 2``. Every request is
counted as it arrives. Settings:

``delays``        seconds, cycled over the rows
``features``      number of features in the metadata (2)
``stall_after``   after this many infer requests everything stands still ...
``stall``         ... for so many seconds, once
``close_every``   closes the connection after every n-th answer, without announcing it
``status``        answers every infer request with this status
``split``         percent of the users (by the number in x-user-id) who get the candidate without a pin
``swap_every``    at every n-th request to the candidate, its answer and that of another one that is under way
                  are swapped (as soon as there are two that differ)
``cut_every``     cuts every n-th answer of the candidate off in the middle

Prints its port; ``GET /seen`` tells what it counted, when it stalled and when it answered which row to which
version (seconds since 1970).
"""

import asyncio
import json
import selectors
import sys
import time

SETTINGS = {
    "delays": [0.0],
    "features": 2,
    "stall_after": 0,
    "stall": 0.0,
    "close_every": 0,
    "status": 200,
    "split": None,
    "swap_every": 0,
    "cut_every": 0,
} | json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}")
SEEN = {"stable": 0, "candidate": 0, "other": 0, "connections": 0, "stalled": None}
ANSWERED = []
USERS = {}
FEEDBACK = []
UNDER_WAY = []
SWAPPED = []
"""The ids of the candidate's requests whose answers were swapped."""
OWED = {"swaps": 0}


class Double(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.data = b""
        self.answers = 0
        SEEN["connections"] += 1

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
            self.request(head.split(" ", 2), version, body, headers.get("x-request-id"))

    def chosen(self, headers):
        if SETTINGS["split"] is None or "x-user-id" not in headers:
            return "other"
        user = int(headers["x-user-id"].removeprefix("user-"))
        return "candidate" if user % 100 < SETTINGS["split"] else "stable"

    def request(self, line, version, body, request_id=None):
        if line[0] == "get":
            tensor = {"name": "x", "datatype": "FP64", "shape": [-1, SETTINGS["features"]]}
            seen = SEEN | {"answered": ANSWERED, "feedback": FEEDBACK, "swapped": SWAPPED}
            self.answer(version, seen if line[1] == "/seen" else {"inputs": [tensor]})
            return
        if line[1].endswith("/feedback"):
            said = json.loads(body)
            told, row, at = USERS[said["id"]]
            FEEDBACK.append((version, told, row, said["label"], time.time() - at))
            self.answer(version, {})
            return
        SEEN[version] += 1
        row = int(json.loads(body)["inputs"][0]["data"][0])
        USERS[request_id] = (version, row, time.time())
        if (
            SETTINGS["stall"]
            and not SEEN["stalled"]
            and sum(map(SEEN.get, ("stable", "candidate"))) >= SETTINGS["stall_after"]
        ):
            began = time.time()
            time.sleep(SETTINGS["stall"])
            SEEN["stalled"] = [began, time.time()]
        output = {"name": "predict", "datatype": "INT64", "shape": [1], "data": [row % 2]}
        answer = (version, {"outputs": [output]}, SETTINGS["status"], row)
        if SETTINGS["swap_every"] and version == "candidate":
            self.swap(request_id, output)
        delay = SETTINGS["delays"][row % len(SETTINGS["delays"])]
        if delay:
            asyncio.get_running_loop().call_later(delay, self.answer, *answer)
        else:
            self.answer(*answer)

    def swap(self, request_id, output):
        OWED["swaps"] += SEEN["candidate"] % SETTINGS["swap_every"] == 0
        for other_id, other in UNDER_WAY:
            if OWED["swaps"] and other["data"] != output["data"]:
                other["data"], output["data"] = output["data"], other["data"]
                OWED["swaps"] -= 1
                SWAPPED.extend((other_id, request_id))
        UNDER_WAY.append((request_id, output))

    def answer(self, version, content, status=200, row=None):
        UNDER_WAY[:] = [
            pair for pair in UNDER_WAY if all(pair[1] is not o for o in content.get("outputs", ()))
        ]
        body = json.dumps(content).encode()
        head = (
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
            f"x-model-version: {version}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        cut = row is not None and version == "candidate" and SETTINGS["cut_every"]
        if cut and SEEN[version] % cut == 0:
            self.transport.write(head.encode() + body[: len(body) // 2])
            self.transport.close()
            return
        self.transport.write(head.encode() + body)
        if row is not None:
            ANSWERED.append((row, version, time.time()))
        self.answers += 1
        if SETTINGS["close_every"] and self.answers % SETTINGS["close_every"] == 0:
            self.transport.close()


async def main():
    server = await asyncio.get_running_loop().create_server(Double, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# epoll, asyncio's default, counts in milliseconds; select does not, but takes few connections
selector = selectors.SelectSelector if any(SETTINGS["delays"]) else selectors.DefaultSelector
with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector())) as runner:
    runner.run(main())
