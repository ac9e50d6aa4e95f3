"""Docker Compose as a backend."""

from __future__ import annotations

from loadtest.experiment.experiment import Experiment
from loadtest.lab.compose.docker_cli import Docker
from loadtest.lab.compose.images import provide_images
from loadtest.lab.compose.lab import ComposeLab
from loadtest.lab.interface import LabRequest, OpenLab


class ComposeBackend:
    """See ``interface.Backend``; ``docker`` is the client."""

    name = "compose"
    title = "Docker Compose"
    rank = 1
    external = False

    def __init__(self, docker: Docker | None = None) -> None:
        self._docker = docker or Docker()

    def refuses(self, experiment: Experiment) -> str | None:
        """None: it takes all of them."""

    def prepare(self, request: LabRequest) -> OpenLab:
        """Ask the Engine, build our images, pull the others'; see ``Backend.prepare``."""
        self._docker.versions()
        prometheus = provide_images(self._docker, request.say)
        return lambda versions: ComposeLab(
            versions,
            self._docker,
            prometheus=prometheus,
            state=request.state,
            percent=request.percent,
            allow_faults=request.experiment.model.name if request.allow_faults else "",
        )


BACKEND = ComposeBackend()
