"""What the server of a lab says of itself on ``/metrics``."""

from __future__ import annotations

from loadtest.data.exposition import MEMORY, read_exposition
from loadtest.lab.services.http_probe import get


def read_metrics(url: str) -> dict[str, float]:
    """The metrics without labels that a server shows; empty where it shows none or does not answer.

    Args:
        url: base URL of the server.
    """
    answer = get(f"{url}/metrics", timeout=5)
    return {} if answer is None or answer.status != 200 else read_exposition(answer.body)


def memory_bytes(url: str) -> int | None:
    """The resident memory of a serving process in bytes; None where it does not say."""
    value = read_metrics(url).get(MEMORY)
    return None if value is None else int(value)
