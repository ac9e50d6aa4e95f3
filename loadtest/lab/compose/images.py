"""The images that a lab on Docker Compose needs: built, found, or pulled before it starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

from loadtest.errors import LabError, StartError
from loadtest.experiment.role import ROLES, Role
from loadtest.lab.compose.docker_cli import Docker
from loadtest.lab.compose.project import COMPOSE_FILE, Project

_BUILT = ("stable", "candidate", "gateway", "load")
_OWN = "loadproof/"
_BUILD_SECONDS = 1200.0
_PULL_SECONDS = 300.0
_NOT_ASCII = "non-printable ASCII characters"


class Images(NamedTuple):
    """Whether there is an image for Prometheus, which a lab can do without; what serves each version."""

    prometheus: bool
    servers: dict[Role, str]


def provide_images(docker: Docker, say: Callable[[str], None]) -> Images:
    """Build what is ours and pull what is not.

    Raises:
        StartError: an image can be neither built nor pulled; carries the last lines of the attempt.
    """
    if not COMPOSE_FILE.is_file():
        raise StartError(f"{COMPOSE_FILE}: no such file; run loadproof from a clone of its repository")
    project = Project(docker, "loadproof", (COMPOSE_FILE,))
    services = json.loads(project.compose("--profile", "load", "config", "--format", "json", timeout=30))[
        "services"
    ]
    images = {service: services[service]["image"] for service in (*_BUILT, "prometheus")}
    ours = [service for service in _BUILT if images[service].startswith(_OWN)]
    # an image of somebody else's is never built over, and without a name Compose would build them all
    if ours:
        say("building the images (this takes minutes the first time and seconds afterwards)")
        try:
            project.compose("--profile", "load", "build", *ours, timeout=_BUILD_SECONDS)
        except LabError as error:
            remedy = "look at its last lines, the network and the disk"
            if _NOT_ASCII in str(error):
                # Docker's builder sends the name of the folder as a header
                remedy = f"clone to a path of ASCII letters: {COMPOSE_FILE.parent} is none"
            raise StartError(f"the images cannot be built ({error}); {remedy}", error.log) from None
    for service in _BUILT:
        if service not in ours:
            require_image(docker, images[service], service)
    servers = {role: images[role] for role in ROLES} | {Role.CONTROL: images[Role.STABLE]}
    if _have(docker, images["prometheus"]):
        return Images(prometheus=True, servers=servers)
    say(f"no image {images['prometheus']}: this lab runs without Prometheus")
    return Images(prometheus=False, servers=servers)


def require_image(docker: Docker, image: str, service: str) -> None:
    """Find or pull an image of somebody else's.

    Raises:
        StartError: it can be neither found nor pulled.
    """
    if not _have(docker, image):
        raise StartError(f"the image {image} of {service} can be neither found nor pulled; build or load it")


def _have(docker: Docker, image: str) -> bool:
    for command, seconds in (("inspect", 30.0), ("pull", _PULL_SECONDS)):
        try:
            docker.run("image", command, image, timeout=seconds)
        except LabError:
            continue
        return True
    return False
