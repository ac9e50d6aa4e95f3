"""Prometheus as part of the local lab, where the program is on the PATH."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path


def scrape_config(versions: Mapping[str, int], stats_port: int, host: str) -> str:
    """The configuration (JSON, which is YAML too) that scrapes the versions and the gateway.

    Jobs and labels are those of ``prometheus/prometheus.yml``: the same queries work on both backends.

    Args:
        versions: port by role.
        stats_port: the gateway's stats listener.
        host: where all of them listen.
    """
    targets = [{"targets": [f"{host}:{port}"], "labels": {"role": role}} for role, port in versions.items()]
    gateway = {"targets": [f"{host}:{stats_port}"]}
    return json.dumps(
        {
            "global": {"scrape_interval": "2s", "scrape_timeout": "1500ms"},
            "scrape_configs": [
                {"job_name": "versions", "static_configs": targets},
                {"job_name": "gateway", "metrics_path": "/stats/prometheus", "static_configs": [gateway]},
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
