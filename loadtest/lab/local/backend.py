"""Local processes as a backend."""

from __future__ import annotations

from loadtest.experiment.experiment import Experiment
from loadtest.lab.interface import IMAGE, Backend, LabRequest, OpenLab, Version
from loadtest.lab.local.environments import environment_python
from loadtest.lab.local.envoy import find_envoy
from loadtest.lab.local.lab import LocalLab
from loadtest.lab.local.supervisor import log_folder, remove
from loadtest.lab.own_runtime import own_runtime


def _refuses(experiment: Experiment) -> str | None:
    named = (experiment.versions.stable, experiment.versions.candidate)
    image = next((name for name in named if name.startswith(IMAGE)), None)
    return image and f"{image!r} needs BACKEND=compose; local processes take folders"


def _prepare(request: LabRequest) -> OpenLab:
    find_envoy()
    folder, (experiment, say, state, percent, faults) = log_folder(), request

    def open_lab(versions: tuple[Version, Version]) -> LocalLab:
        return LocalLab(
            versions,
            folder,
            experiment.model.name,
            state=state,
            percent=percent,
            allow_faults=faults,
            pythons={
                version.role: environment_python(runtime, version.folder, say)
                for version in versions
                if (runtime := own_runtime(version.folder))
            },
        )

    return open_lab


BACKEND = Backend("local", "local processes", rank=2, prepare=_prepare, refuses=_refuses, remove=remove)
