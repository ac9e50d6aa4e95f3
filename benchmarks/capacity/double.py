"""A server whose capacity is known: ``python queue_double.py '{"stable": 0.005, "candidate": 0.004}'``.

Each version is a queue, first come, first served, with the fixed service time of the settings, in seconds.
Nothing is computed: an answer is held back until the queue would have come to it. So latencies are those of
M/D/1 under Poisson arrivals, whatever else this machine does. The header ``x-waited`` says how many seconds
of queue a request found. Prints its port.
"""

import asyncio
import json
import sys

from contract.headers import MODEL_VERSION

SERVICE = json.loads(sys.argv[1])
FREE = dict.fromkeys(SERVICE, 0.0)
METADATA = json.dumps({"inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}]})
ANSWER = json.dumps({"outputs": [{"name": "predict", "datatype": "INT64", "shape": [1], "data": [1]}]})


class Queue(asyncio.Protocol):
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
            length = int(headers.get("content-length", 0))
            if len(self.data) < end + 4 + length:
                return
            self.data = self.data[end + 4 + length :]
            self.request(head.startswith("post"), headers[MODEL_VERSION])

    def request(self, infer, version):
        """Answer when the version's queue comes to it."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        begins = max(now, FREE[version])
        ends = begins + (SERVICE[version] if infer else 0.0)
        FREE[version] = ends
        body = ANSWER if infer else METADATA
        headers = f"{MODEL_VERSION}: {version}\r\nx-waited: {begins - now:g}\r\nContent-Length: {len(body)}"
        loop.call_at(ends, self.transport.write, f"HTTP/1.1 200 OK\r\n{headers}\r\n\r\n{body}".encode())


async def main():
    """Serve until terminated."""
    server = await asyncio.get_running_loop().create_server(Queue, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
