"""Whether users notice 200 half-sent requests of a stranger: ``python -m benchmarks.canary.half_sent``.

Arguments: the gateway's base URL, the model's name, how many. Each connection sends the head and half of a
body, waits until the gateway hangs up, and does it again, until the process is ended.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from loadtest.lab.interface import Lab

HALF_SENT = 200
_PAUSE = 0.2
"""Seconds until a connection that was refused is tried again."""


def measure(lab: Lab, model: str, rate: float, pairs: int) -> dict[str, Any]:
    """Ask at a steady rate while the stranger comes and goes.

    Returns:
        Milliseconds of the users' answers with and without the stranger, and the ratio with its 95% interval.
    """
    from benchmarks.canary.rollbacks import set_split
    from benchmarks.canary.shadowed import BLOCK, of_blocks
    from benchmarks.canary.steady import Load

    set_split(lab, 0)
    load = Load(lab, model, rate, pairs * 2 * (BLOCK + 0.3) + 3)
    command = [sys.executable, "-m", "benchmarks.canary.half_sent"]
    began: dict[bool, list[float]] = {True: [], False: []}
    for number in range(pairs * 2):
        # the order changes from pair to pair: what drifts does not favour one of the two
        attacked = number % 4 in (1, 2)
        began[attacked].append(time.monotonic())
        if attacked:
            stranger = subprocess.Popen([*command, lab.endpoints.gateway, model, str(HALF_SENT)])
        time.sleep(BLOCK)
        if attacked:
            stranger.terminate()
            stranger.wait()
    records = load.records()
    failed = [r.status != 200 for r in records]
    failed_meanwhile = [
        bad and any(at <= r.scheduled_at < at + BLOCK for at in began[True])
        for bad, r in zip(failed, records, strict=True)
    ]
    return {
        "rate": rate,
        "half_sent": HALF_SENT,
        "pairs": pairs,
        "requests": len(records),
        "failed": sum(failed),
        "failed_meanwhile": sum(failed_meanwhile),
    } | of_blocks(records, began)


async def keep_open(url: str, model: str, count: int) -> None:
    """Keep so many half-sent requests open; see above."""
    parts = urlsplit(url)
    head = f"POST /v2/models/{model}/infer HTTP/1.1\r\nhost: gateway\r\ncontent-length: 1000\r\n\r\n"
    half = head.encode() + b'{"inputs": [' + b" " * 488

    async def one() -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
                writer.write(half)
                await reader.read()
                writer.close()
            except OSError:
                pass
            await asyncio.sleep(_PAUSE)

    await asyncio.gather(*(one() for _ in range(count)))


if __name__ == "__main__":
    asyncio.run(keep_open(sys.argv[1], sys.argv[2], int(sys.argv[3])))
