"""What differs from ``compose.yaml`` in one lab: generated files, as JSON, which is YAML too."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contract.feedback_token import VARIABLE
from loadtest.errors import ModelError
from loadtest.experiment.role import Role
from loadtest.lab.interface import Version
from loadtest.lab.remote_workers import RemoteWorkers

WORKER_TOKEN = "LOADPROOF_WORKER_TOKEN"  # noqa: S105 - the name of a variable
_GATEWAY_PORT = "!gateway-port"
"""Stands for the variable that the lab sets when it starts, where every other `$` is no variable."""
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - inside a container, of which one port is published at one address
# as compose.yaml has it
_LOAD = ("python", "-m", "loadtest.load", "--stream", "--job", "/job", "--host", "http://gateway:8080")
_RESET = "!reset"
"""Compose's own tag: what ``compose.yaml`` says here is taken back."""


def write_override(
    folder: Path,
    versions: Sequence[Version],
    state: Path,
    allow_faults: str = "",
    own_images: Mapping[Role, str] | None = None,
    feedback_token: str = "",
    workers: RemoteWorkers | None = None,
) -> Path:
    """Write the lab's override file; the gateway and Prometheus read the canary's ``state``, a folder.

    ``own_images`` serve the versions that have packages of their own; whoever has ``feedback_token`` may send
    feedback. ``workers`` on other machines reach the gateway at one more address.

    Nothing is restarted in a lab: a service that ends must show. And a version's health is not checked again
    once it is ready: a check takes 25 ms of CPU time, a whole 100 ms period of a limit of 0.25.
    """
    services: dict[str, Any] = {
        version.role: {
            "restart": "no",
            "healthcheck": {"interval": "24h"},
            **_served(version, allow_faults, feedback_token),
            **({"image": own_images[version.role]} if own_images and version.role in own_images else {}),
            # 0 is Docker's word for no limit
            "cpus": version.cpus or 0,
            "mem_limit": version.memory or 0,
            "memswap_limit": version.memory or 0,
        }
        for version in versions
    }
    for service in ("gateway", "prometheus"):
        services[service] = {"restart": "no", "volumes": [_bind(state, "/routes")]}
    if any(version.role == Role.CONTROL for version in versions):
        services["gateway"]["environment"] = {"CONTROL_HOST": str(Role.CONTROL), "CONTROL_PORT": "8000"}
    if workers is not None and workers.beyond:
        # to what is published on this machine alone, with the same port
        services["gateway"]["ports"] = [f"{workers.host}:{_GATEWAY_PORT}:8080"]
    return _write(folder / "override.json", services)


def _served(version: Version, allow_faults: str, feedback_token: str) -> dict[str, Any]:
    if version.image:
        # the image's own value holds, and its own files are seen
        return {
            "image": version.image,
            "environment": {"MODEL_DIR": _RESET, VARIABLE: feedback_token},
            "volumes": _RESET,
        }
    return {
        "environment": {"MODEL_DIR": "/models", "ALLOW_FAULTS": allow_faults, VARIABLE: feedback_token},
        "volumes": [_bind(version.folder, "/models")],
    }


def write_load_override(
    folder: Path,
    data: Path,
    feedback_token: str = "",
    workers: RemoteWorkers | None = None,
    gateway: str = "",
) -> Path:
    """Write the override file that shows the evaluation set to the load, at the same path as here.

    ``workers`` on other machines join at the address that they name, and reach the gateway at ``gateway``.
    """
    load: dict[str, Any] = {
        "volumes": [_bind(data, str(data))],
        "environment": {VARIABLE: feedback_token},
    }
    if workers is not None:
        load["ports"] = [f"{workers.host}:{workers.port}:{workers.port}"]
        load["environment"][WORKER_TOKEN] = os.environ.get(WORKER_TOKEN, "")
        load["command"] = [*_LOAD, *workers.options(_EVERYWHERE, gateway)]
    return _write(folder / "load.json", {"load": load})


def require_readable(path: Path) -> None:
    """Containers run as a user of their own, who must be able to read what is bound into them.

    Raises:
        ModelError: that user may not read it, or it is not there.
    """
    if not path.exists():
        raise ModelError(f"{path}: no such file or folder")
    for item in (path, *path.rglob("*")):
        wanted = 0o005 if item.is_dir() else 0o004
        if item.stat().st_mode & wanted != wanted:
            raise ModelError(f"{item}: containers may not read it; run chmod -R a+rX {path}")


def _bind(source: Path, target: str) -> dict[str, object]:
    return {
        "type": "bind",
        "source": str(source.resolve()),
        "target": target,
        "read_only": True,
        "bind": {"create_host_path": False},
    }


def _write(path: Path, services: dict[str, Any]) -> Path:
    # a `$` in a path is no variable for Compose to fill in
    text = (
        json.dumps({"services": services}, indent=1)
        .replace("$", "$$")
        .replace(_GATEWAY_PORT, "${GATEWAY_PORT}")
        .replace(f'"{_RESET}"', f"{_RESET} null")
    )
    path.write_text(text, encoding="utf-8")
    return path
