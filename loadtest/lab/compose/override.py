"""What differs from ``compose.yaml`` in one lab: generated files, as JSON, which is YAML too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contract.feedback_token import VARIABLE
from loadtest.errors import ModelError
from loadtest.experiment.role import Role
from loadtest.lab.interface import Version

_RESET = "!reset"
"""Compose's own tag: what ``compose.yaml`` says here is taken back."""


def write_override(
    folder: Path,
    versions: Sequence[Version],
    state: Path,
    allow_faults: str = "",
    own_images: Mapping[Role, str] | None = None,
    feedback_token: str = "",
) -> Path:
    """Write the lab's override file; the gateway and Prometheus read the canary's ``state``, a folder.

    ``own_images`` serve the versions that have packages of their own; whoever has ``feedback_token`` may send
    feedback.

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


def write_load_override(folder: Path, data: Path, feedback_token: str = "") -> Path:
    """Write the override file that shows the evaluation set to the load, at the same path as here."""
    load = {"volumes": [_bind(data, str(data))], "environment": {VARIABLE: feedback_token}}
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
        .replace(f'"{_RESET}"', f"{_RESET} null")
    )
    path.write_text(text, encoding="utf-8")
    return path
