"""Docker Compose as a backend."""

from __future__ import annotations

from collections.abc import Mapping

from loadtest.lab.compose.docker_cli import Docker
from loadtest.lab.compose.images import provide_images
from loadtest.lab.compose.lab import ComposeLab
from loadtest.lab.compose.own_image import own_image
from loadtest.lab.compose.project import Project
from loadtest.lab.interface import Backend, LabRequest, OpenLab, Version
from loadtest.lab.leftovers import remove_folder
from loadtest.lab.own_runtime import own_runtime


def prepare(request: LabRequest, docker: Docker | None = None) -> OpenLab:
    """Ask the Engine, build our images, pull the others'; see ``Backend.prepare``."""
    client = docker or Docker()
    client.versions()
    client.require_cpus(request.experiment.limits.cpus)
    images = provide_images(client, request.say)

    def open_lab(versions: tuple[Version, ...]) -> ComposeLab:
        return ComposeLab(
            versions,
            client,
            prometheus=images.prometheus,
            state=request.state,
            percent=request.percent,
            workers=request.workers,
            allow_faults=request.experiment.model.name if request.allow_faults else "",
            own_images={
                version.role: own_image(
                    client, images.servers[version.role], runtime, version.folder, request.say
                )
                for version in versions
                if version.image is None and (runtime := own_runtime(version.folder))
            },
        )

    return open_lab


def remove(noted: Mapping[str, str], _: str) -> str:
    """Remove the project of a lab whose command was killed, by its label; see ``Backend.remove``."""
    project = Project(Docker(), noted["project"], ())
    there = len(project.leftovers())
    project.remove()
    remove_folder(noted["folder"])
    return f"the Compose project {noted['project']} ({there} containers, networks and volumes)"


BACKEND = Backend("compose", "Docker Compose", rank=1, prepare=prepare, remove=remove)
