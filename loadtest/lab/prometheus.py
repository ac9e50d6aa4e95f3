"""Prometheus as part of the local lab, where the program is on the PATH."""

from __future__ import annotations

import json
from pathlib import Path


def scrape_config(targets: Path, gateway: str) -> str:
    """The configuration (JSON, which is YAML too) that scrapes the versions and the gateway.

    Jobs and labels are those of ``prometheus/prometheus.yml``: the same queries work on both backends.

    Args:
        targets: the file that names the versions and the roles that they play now.
        gateway: ``host:port`` of the gateway's stats listener.
    """
    versions = [{"files": [str(targets)], "refresh_interval": "2s"}]
    return json.dumps(
        {
            "global": {"scrape_interval": "2s", "scrape_timeout": "1500ms"},
            "scrape_configs": [
                {"job_name": "versions", "file_sd_configs": versions},
                {
                    "job_name": "gateway",
                    "metrics_path": "/stats/prometheus",
                    "static_configs": [{"targets": [gateway]}],
                },
            ],
        },
        indent=1,
    )


def command(program: str, config: Path, storage: Path, address: str) -> list[str]:
    """The command line: everything that Prometheus writes goes into ``storage``.

    Args:
        program: path of the program.
        config: the scrape configuration.
        storage: folder of the time series.
        address: ``host:port`` to listen on.
    """
    return [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={storage}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
