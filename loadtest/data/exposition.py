"""Prometheus's text format: what a server reports about itself on ``/metrics``."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

MEMORY = "process_resident_memory_bytes"
"""The resident memory of a serving process, under the name that Prometheus's clients give it.

Not the cgroup's count: that charges files which both versions map to whichever read them first.
"""


def parse(page: str) -> Iterator[Sample]:
    """The metrics of a page: names, labels, values.

    Raises:
        ValueError: it is no page of metrics.
    """
    for family in text_string_to_metric_families(page):
        yield from family.samples


def read_exposition(page: str | None) -> dict[str, float]:
    """The metrics without labels on a page; empty where there is none, or it has another format."""
    try:
        return {sample.name: float(sample.value) for sample in parse(page or "") if not sample.labels}
    except ValueError:
        return {}
