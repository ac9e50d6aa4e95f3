"""What a run ran on: the facts of ``environment.json``, so that a figure can be read years later."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

import psutil

from loadtest import __version__

_PACKAGES = ("locust", "flask", "granian", "scikit-learn", "onnxruntime", "numpy", "scipy", "pyarrow")


def describe(lab: dict[str, object]) -> dict[str, object]:
    """Facts about this machine, the software and the lab (``Lab.environment()``)."""
    return {
        "loadproof": __version__,
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": psutil.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "packages": {name: version for name in _PACKAGES if (version := _package(name))},
        **lab,
    }


def _package(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
