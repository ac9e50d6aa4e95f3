"""Prometheus's text format: what a server says of itself on ``/metrics``."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

MEMORY = "process_resident_memory_bytes"
"""The resident memory of a serving process, under the name that Prometheus's clients give it.

Not the cgroup's count: that charges files which both versions map to whichever read them first.
"""


def read_exposition(text: str) -> dict[str, float]:
    """The metrics without labels on a page; empty where it has another format."""
    try:
        return {
            sample.name: float(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if not sample.labels
        }
    except ValueError:
        return {}
