"""What the versions' servers report around a run that Locust's web UI started: limits and memory.

The loadproof command asks the lab instead, which it has started itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from contract.metric_names import CPU_LIMIT_CORES, CPU_PERIODS, CPU_THROTTLED_PERIODS
from loadtest.data.exposition import MEMORY, read_exposition
from loadtest.experiment.experiment import Experiment
from loadtest.fetch import page

_TIMEOUT = 2.0

Scrape = dict[str, dict[str, float]]
"""Metrics without labels by version; a version that says nothing has none."""


def scrape(targets: Path | None, proxy: str | None = None) -> Scrape:
    """Ask every version for its metrics.

    Args:
        targets: the file in which Prometheus finds the servers and the roles that they play now, which change
            with a promotion; None: there is none, and nobody is asked.
        proxy: base URL that shows each server's metrics at its host's name; None: they are asked directly.
    """
    if targets is None:
        return {}
    try:
        entries = json.loads(targets.read_text(encoding="utf-8"))
        addresses = {entry["labels"]["role"]: entry["targets"][0] for entry in entries}
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    urls = {
        role: f"{proxy}/{address.partition(':')[0]}/metrics" if proxy else f"http://{address}/metrics"
        for role, address in addresses.items()
    }
    return {role: read_exposition(page(url, _TIMEOUT)) for role, url in urls.items()}


def server_facts(before: Scrape, after: Scrape) -> dict[str, dict[str, Any]]:
    """The facts about each version for ``environment.json``: what is not known is None."""
    return {role: _facts(before.get(role, {}), now) for role, now in after.items()}


def _facts(before: dict[str, float], after: dict[str, float]) -> dict[str, Any]:
    def grown(name: str) -> float | None:
        return after[name] - before[name] if name in before and name in after else None

    periods, throttled, memory = grown(CPU_PERIODS), grown(CPU_THROTTLED_PERIODS), after.get(MEMORY)
    return {
        "cpus": after.get(CPU_LIMIT_CORES),
        # a server that was started again counts from zero
        "cpu_throttled_ratio": throttled / periods
        if periods and periods > 0 and throttled is not None
        else None,
        "memory_bytes": None if memory is None else int(memory),
    }


def lab_facts(experiment: Experiment, backend: str, servers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What is known here of the lab, under the names that ``Lab.environment()`` gives."""
    target = experiment.target
    where = (
        {"backend": backend, "limits": {role: {"cpus": facts["cpus"]} for role, facts in servers.items()}}
        if target is None
        else {
            "backend": "urls",
            "protocol": target.protocol,
            "stable": target.stable,
            "candidate": target.candidate,
        }
    )
    return where | {"server_facts": servers}
