"""Local processes as a backend."""

from __future__ import annotations

from loadtest.experiment.experiment import Experiment
from loadtest.lab.interface import IMAGE, LabRequest, OpenLab
from loadtest.lab.local.envoy import find_envoy
from loadtest.lab.local.lab import LocalLab
from loadtest.lab.local.supervisor import log_folder


class LocalBackend:
    """See ``interface.Backend``."""

    name = "local"
    title = "local processes"
    rank = 2
    external = False

    def refuses(self, experiment: Experiment) -> str | None:
        """Versions that are images."""
        named = (experiment.versions.stable, experiment.versions.candidate)
        image = next((name for name in named if name.startswith(IMAGE)), None)
        return image and f"{image!r} needs BACKEND=compose; local processes take folders"

    def prepare(self, request: LabRequest) -> OpenLab:
        """Find the programs; see ``Backend.prepare``."""
        find_envoy()
        folder = log_folder()
        return lambda versions: LocalLab(
            versions,
            folder,
            request.experiment.model.name,
            state=request.state,
            percent=request.percent,
            allow_faults=request.allow_faults,
        )


BACKEND = LocalBackend()
