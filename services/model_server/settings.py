"""The bounds of a server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The bounds of a server: ``Settings(max_body=2**20)``.

    Args:
        max_body: the largest body in bytes; a larger one gets 413.
        batching: whether requests that wait go through the model together.
        max_queue: the most requests that wait for the model; one more gets 503.
        max_rows: the most rows that requests are put together to for one run of the model.
        timeout: seconds that a request may take where the gateway does not say how long it waits.
        recent: predicted rows that are kept for feedback.
    """

    max_body: int = 4 * 2**20
    batching: bool = True
    max_queue: int = 48
    max_rows: int = 256
    timeout: float = 10.0
    recent: int = 10_000
