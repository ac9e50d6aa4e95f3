"""What a server says of itself on ``/metrics``, in Prometheus's text format."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from loadtest.lab.probe import get

_MEMORY = "process_resident_memory_bytes"


def read_metrics(url: str) -> dict[str, float]:
    """The metrics without labels that a server shows; empty where it shows none or does not answer.

    Args:
        url: base URL of the server.
    """
    answer = get(f"{url}/metrics", timeout=5)
    if answer is None or answer.status != 200:
        return {}
    try:
        return {
            sample.name: float(sample.value)
            for family in text_string_to_metric_families(answer.body)
            for sample in family.samples
            if not sample.labels
        }
    except ValueError:  # a page of another format
        return {}


def memory_bytes(url: str) -> int | None:
    """The resident memory of a serving process, under the name that Prometheus's clients give it.

    Not the cgroup's count: that charges files which both versions map to whichever read them first.
    """
    value = read_metrics(url).get(_MEMORY)
    return None if value is None else int(value)
