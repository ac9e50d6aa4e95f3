"""Push to a registry: each image under the version and under the git commit that it was built from."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence

from deploy.images.build import Image
from deploy.images.stamp import Stamp
from loadtest.errors import LabError, UsageError
from loadtest.lab.compose.docker_cli import Docker

_PUSH_SECONDS = 1800.0
_HOST = r"(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+|[a-z0-9.-]+:\d+|\[[0-9a-f:]+\](:\d+)?)(:\d+)?"
_PATH = r"(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"


def check_registry(registry: str) -> str:
    """A registry's path as images are named by it.

    Raises:
        UsageError: it is none.
    """
    registry = registry.rstrip("/")
    if not re.fullmatch(_HOST + _PATH, registry):
        raise UsageError(
            f"REGISTRY={registry}: give host[:port]/path in small letters, like ghcr.io/me/loadproof"
        )
    return registry


def stamp_of(docker: Docker, image: Image) -> Stamp:
    """The labels of an image.

    Raises:
        UsageError: it is not here.
    """
    try:
        text = docker.run("image", "inspect", "--format", "{{json .Config.Labels}}", image.local, timeout=30)
    except LabError:
        raise UsageError(f"no image {image.local} here: run make images") from None
    labels = {key.rpartition(".")[2]: value for key, value in (json.loads(text) or {}).items()}
    return Stamp(labels.get("version", ""), labels.get("revision", ""))


def push(
    docker: Docker,
    images: Sequence[Image],
    registry: str,
    say: Callable[[str], None],
    *,
    kept: Mapping[str, frozenset[str]] | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Push images.

    ``registry`` is as ``check_registry`` returns it. Tags in ``kept``, by image, are there already and stay
    as they are.

    Raises:
        LabError: the registry does not take one.
        UsageError: an image is not here, or its commit is not known.
    """
    stamps = {image: stamp_of(docker, image).tags for image in images}
    for image, tags in stamps.items():
        # the commit first: once the version is there, so is what tells where it came from
        for tag in reversed(tags):
            remote = f"{registry}/{image.name}:{tag}"
            if tag in (kept or {}).get(image.name, ()):
                say(f"{remote} is there already, and tags are immutable: it stays")
                continue
            docker.run("tag", image.local, remote, timeout=30)
            try:
                docker.run("push", "--quiet", remote, timeout=_PUSH_SECONDS, environment=environment)
            except LabError as error:
                host = registry.partition("/")[0]
                remedy = f"is {host} up, and have you run `docker login {host}`?"
                raise LabError(f"{remote} was not taken ({error}); {remedy}", error.log) from None
            finally:
                # the name was for the push only; STABLE_IMAGE and the like pull it back
                docker.run("image", "rm", "--no-prune", remote, timeout=30)
            say(f"pushed {remote}")
