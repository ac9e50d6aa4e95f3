"""The W3C trace context of each request: ids that its sample is enough to compute, so that none is stored.

A trace is one arrival: the requests to both versions share its id, so that servers that sample by trace
record both or neither. https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

_MICROSECONDS = 1e6


class SpanIds(NamedTuple):
    """The ids of one request, in lowercase hexadecimal: 32 digits of its trace, 16 of its span."""

    trace_id: str
    span_id: str


class TraceContext:
    """The trace contexts of one load: ``TraceContext("1f6a20c1b7d4").ids(0, 17, 12.5, 1)``.

    The trace id is the first 16 bytes of BLAKE2b with ``run`` as its key and 23 bytes of digest, over
    ``"<worker> <row> <scheduled_at in whole microseconds>"``; the span id is the other 7 and the role.

    Args:
        run: what ``load.json`` calls ``run``.
    """

    def __init__(self, run: str) -> None:
        self._key = run.encode()

    def ids(self, worker: int, row: int, scheduled_at: float, role: int) -> SpanIds:
        """The ids of a request.

        ``scheduled_at`` is in seconds of its own load, before any move behind another one; ``role`` is an
        index into ``ROLES_WITH_CONTROL``.
        """
        digest = self._digest(worker, row, scheduled_at)
        return SpanIds(digest[:32], f"{digest[32:]}{role:02x}")

    def traceparent(self, worker: int, row: int, scheduled_at: float, role: int) -> bytes:
        """The header's value, for the arguments of ``ids``; as sampled, for each request is recorded."""
        digest = self._digest(worker, row, scheduled_at)
        return f"00-{digest[:32]}-{digest[32:]}{role:02x}-01".encode()

    def _digest(self, worker: int, row: int, scheduled_at: float) -> str:
        content = b"%d %d %d" % (worker, row, round(scheduled_at * _MICROSECONDS))
        return blake2b(content, digest_size=23, key=self._key).hexdigest()
