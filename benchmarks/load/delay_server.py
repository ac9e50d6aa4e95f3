"""A server with known delays: ``python delay_server.py '{"delays": [0.005], "stall": 1, "stall_after": 9}'``.

The first feature of a row is its index; row ``i`` is answered ``delays[i % len(delays)]`` seconds after it
arrived. After ``stall_after`` requests everything stands still for ``stall`` seconds, once. Prints its port;
``GET /seen`` tells when it stalled, and which row it answered when (seconds since 1970).
"""

import asyncio
import json
import selectors
import sys
import time

SETTINGS = json.loads(sys.argv[1])
COUNT = {"requests": 0}
STALLED = []
ANSWERED = []
METADATA = {"inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}]}
ANSWER = {"outputs": [{"name": "predict", "datatype": "INT64", "shape": [1], "data": [1]}]}


class Server(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport):
        """Keep the way back."""
        self.transport = transport
        self.data = b""

    def data_received(self, data):
        """Take every request that is whole."""
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[:end].decode().lower()
            headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
            whole = end + 4 + int(headers.get("content-length", 0))
            if len(self.data) < whole:
                return
            body, self.data = self.data[end + 4 : whole], self.data[whole:]
            if head.startswith("post"):
                self.infer(headers["x-model-version"], int(json.loads(body)["inputs"][0]["data"][0]))
            elif head.startswith("get /seen"):
                self.answer(None, {"answered": ANSWERED, "stalled": STALLED})
            else:
                self.answer(headers.get("x-model-version"), METADATA)

    def infer(self, version, row):
        """Answer a row when its delay is over."""
        COUNT["requests"] += 1
        if SETTINGS["stall"] and not STALLED and COUNT["requests"] >= SETTINGS["stall_after"]:
            STALLED.append(time.time())
            time.sleep(SETTINGS["stall"])
            STALLED.append(time.time())
        delay = SETTINGS["delays"][row % len(SETTINGS["delays"])]
        asyncio.get_running_loop().call_later(delay, self.answer, version, ANSWER, row)

    def answer(self, version, content, row=None):
        """Write an answer, and note when."""
        body = json.dumps(content).encode()
        name = f"x-model-version: {version}\r\n" if version else ""
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{name}Content-Length: {len(body)}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        if row is not None:
            ANSWERED.append((row, time.time()))


async def main():
    """Serve until terminated."""
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# epoll, asyncio's default, counts in milliseconds; select does not
with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
    runner.run(main())
