"""Docker Compose as a backend."""

from __future__ import annotations

from loadtest.lab.compose.docker_cli import Docker
from loadtest.lab.compose.images import provide_images
from loadtest.lab.compose.lab import ComposeLab
from loadtest.lab.interface import Backend, LabRequest, OpenLab


def prepare(request: LabRequest, docker: Docker | None = None) -> OpenLab:
    """Ask the Engine, build our images, pull the others'; see ``Backend.prepare``."""
    client = docker or Docker()
    client.versions()
    prometheus = provide_images(client, request.say)
    return lambda versions: ComposeLab(
        versions,
        client,
        prometheus=prometheus,
        state=request.state,
        percent=request.percent,
        allow_faults=request.experiment.model.name if request.allow_faults else "",
    )


BACKEND = Backend("compose", "Docker Compose", rank=1, prepare=prepare)
