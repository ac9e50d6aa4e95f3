"""Local processes as a backend."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from loadtest.experiment.experiment import Experiment
from loadtest.lab.interface import IMAGE, Backend, LabRequest, OpenLab, Version
from loadtest.lab.local.environments import environment_python
from loadtest.lab.local.envoy import find_envoy
from loadtest.lab.local.lab import LocalLab
from loadtest.lab.own_runtime import own_runtime
from loadtest.lab.processes.supervisor import log_folder, remove


def _refuses(experiment: Experiment) -> str | None:
    named = (experiment.versions.stable, experiment.versions.candidate)
    image = next((name for name in named if name.startswith(IMAGE)), None)
    return image and f"{image!r} needs BACKEND=compose; local processes take folders"


def _python(folder: Path, say: Callable[[str], None]) -> Path:
    runtime = own_runtime(folder)
    return environment_python(runtime, folder, say) if runtime else Path(sys.executable)


def _prepare(request: LabRequest) -> OpenLab:
    find_envoy()
    folder, (experiment, say, state, percent, faults, workers) = log_folder(), request

    def open_lab(versions: tuple[Version, ...]) -> LocalLab:
        return LocalLab(
            versions,
            folder,
            experiment.model.name,
            state=state,
            percent=percent,
            allow_faults=faults,
            workers=workers,
            pythons={
                version.role: _python(version.folder, say)
                for version in versions
                if own_runtime(version.folder)
            },
        )

    return open_lab


BACKEND = Backend(
    "local", "local processes", rank=2, prepare=_prepare, refuses=_refuses, remove=remove, python=_python
)
