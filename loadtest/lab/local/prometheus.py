"""Prometheus as part of the local lab, where the program is on the PATH."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from loadtest.lab.free_ports import HOST

RULES = Path(__file__).parents[3] / "prometheus" / "rules"
"""The recording rules and alerts of both backends."""

_LATER = ("load", "canary")
"""Jobs whose target comes when somebody writes it to ``<job>.json`` in the folder of the canary's state."""

_OWN = "prometheus_(tsdb_head_series|rule_evaluation_failures_total)"
"""What is kept of Prometheus' own metrics."""


def prometheus_command(program: str, folder: Path, targets: Path, ports: Mapping[str, int]) -> list[str]:
    """Write ``prometheus.json`` into the lab's folder, for all of its data too, and return the command."""
    config = folder / "prometheus.json"
    own = f"{HOST}:{ports['prometheus']}"
    config.write_text(scrape_config(targets, f"{HOST}:{ports['stats']}", own, targets.parent))
    return [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={own}",
        "--log.level=warn",
    ]


def scrape_config(targets: Path, gateway: str, own: str, later: Path) -> str:
    """The configuration (JSON, which is YAML too) that scrapes the versions, the gateway and Prometheus.

    Rules, jobs and labels are those of ``prometheus/prometheus.yml``: the same queries work on both backends.

    Args:
        targets: the file that names the versions and the roles that they play now.
        gateway: ``host:port`` of the gateway's stats listener.
        own: ``host:port`` of Prometheus.
        later: folder in which ``load.json`` and ``canary.json`` may name targets at any time
            (``[{"targets": ["127.0.0.1:8089"]}]``).
    """
    return json.dumps(
        {
            "global": {"scrape_interval": "2s", "scrape_timeout": "1500ms", "evaluation_interval": "2s"},
            "rule_files": [str(RULES / "*.yml")],
            "scrape_configs": [
                {"job_name": "versions", "file_sd_configs": _files(targets)},
                {
                    "job_name": "gateway",
                    "metrics_path": "/stats/prometheus",
                    "static_configs": [{"targets": [gateway]}],
                },
                *({"job_name": job, "file_sd_configs": _files(later / f"{job}.json")} for job in _LATER),
                {
                    "job_name": "prometheus",
                    "static_configs": [{"targets": [own]}],
                    "metric_relabel_configs": [
                        {"source_labels": ["__name__"], "regex": _OWN, "action": "keep"}
                    ],
                },
            ],
        },
        indent=1,
    )


def _files(path: Path) -> list[dict[str, object]]:
    return [{"files": [str(path)], "refresh_interval": "2s"}]
