"""The command lines of the local lab's gateway and Prometheus, and the configuration that they read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from loadtest.lab.free_ports import HOST
from loadtest.lab.gateway.envoy import GATEWAY_FOLDER, find_envoy, render
from loadtest.lab.local import prometheus


def gateway_command(folder: Path, routes: Path, ports: Mapping[str, int]) -> list[str]:
    """Write ``envoy.yaml`` into ``folder`` and return the command that runs it.

    Args:
        folder: of the lab.
        routes: folder of the routes file.
        ports: ``gateway``, ``admin``, ``stats``, ``stable`` and ``candidate``.
    """
    values: dict[str, str | int] = {
        **{f"{name}_ADDRESS": HOST for name in ("LISTEN", "ADMIN", "STATS")},
        **{f"{name}_HOST": HOST for name in ("STABLE", "CANDIDATE")},
        **{f"{name.upper()}_PORT": ports[name] for name in ("admin", "stats", "stable", "candidate")},
        "LISTEN_PORT": ports["gateway"],
        "ROUTES_DIR": str(routes),
    }
    config = folder / "envoy.yaml"
    config.write_text(render((GATEWAY_FOLDER / "envoy.yaml").read_text(encoding="utf-8"), values))
    options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
    return [str(find_envoy()), "-c", str(config), *options]


def prometheus_command(program: str, folder: Path, targets: Path, ports: Mapping[str, int]) -> list[str]:
    """Write ``prometheus.json`` into ``folder`` and return the command that runs it.

    Args:
        program: path of the program.
        folder: of the lab.
        targets: the file that names the versions; see ``routes.scrape_targets``.
        ports: ``stats`` and ``prometheus``.
    """
    config = folder / "prometheus.json"
    own = f"{HOST}:{ports['prometheus']}"
    config.write_text(prometheus.scrape_config(targets, f"{HOST}:{ports['stats']}", own, targets.parent))
    return prometheus.command(program, config, folder / "prometheus", own)
