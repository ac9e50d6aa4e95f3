"""Base images by digest: a Dockerfile names its base by tag, and the build takes the image that was pinned.

``make pin-bases`` asks the registries for the digests of the tags and writes them to ``bases.txt``, a line
``name:tag@sha256:...`` each, to be committed. Where that file is, builds replace the tag by the digest;
without it, or for a base that is not in it, the tag is taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtest.errors import LabError, StartError, UsageError
from loadtest.lab.compose.docker_cli import Docker

if TYPE_CHECKING:
    from deploy.images.build import Image

PINS = Path(__file__).with_name("bases.txt")
_PIN = re.compile(r"(\S+:[\w.-]+)@(sha256:[0-9a-f]{64})")


def bases(dockerfile: Path) -> list[str]:
    """The images that a Dockerfile starts from, by name and tag; stages of its own are none."""
    text = dockerfile.read_text(encoding="utf-8")
    arguments = re.findall(r"^ARG (\w+)=(\S+)$", text, re.M)
    stages, found = set(), []
    for image, stage in re.findall(r"^FROM (\S+)(?: AS (\S+))?$", text, re.M):
        name = image
        for argument, value in arguments:
            name = name.replace(f"${{{argument}}}", value)
        if name not in stages and name not in found:
            found.append(name)
        stages.add(stage)
    return found


def pin(docker: Docker, images: Sequence[Image], path: Path = PINS) -> list[str]:
    """Ask for the digest of each base, and write them all; nothing is written unless all are known.

    Returns:
        the lines.

    Raises:
        StartError: a registry does not tell.
    """
    names = sorted({name for image in images for name in bases(image.dockerfile)})
    lines = []
    for name in names:
        try:
            told = docker.run(
                "buildx", "imagetools", "inspect", name, "--format", "{{json .Manifest}}", timeout=60
            )
            line = f"{name}@{json.loads(told)['digest']}"
        except (LabError, ValueError, KeyError, TypeError) as error:
            raise StartError(
                f"the digest of {name} cannot be had: its registry must be reached ({error}); "
                "nothing was written"
            ) from None
        if not _PIN.fullmatch(line):
            raise StartError(f"the registry of {name} gave no digest, but {line!r}; nothing was written")
        lines.append(line)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return lines


def read_pins(path: Path = PINS) -> dict[str, str]:
    """Digests by name and tag; empty where nothing was pinned.

    Raises:
        UsageError: a line is no pin.
    """
    if not path.exists():
        return {}
    pins = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        found = _PIN.fullmatch(line)
        if not found:
            raise UsageError(f"{path}: line {number} is not name:tag@sha256:...; run make pin-bases")
        pins[found[1]] = found[2]
    return pins


def override(images: Sequence[Image], pins: Mapping[str, str]) -> dict[str, Any]:
    """A Compose file that has each image built from the pinned bases; empty where nothing is pinned."""
    services = {}
    for image in images:
        contexts = {
            name: f"docker-image://{name}@{pins[name]}" for name in bases(image.dockerfile) if name in pins
        }
        if contexts:
            services[image.service] = {"build": {"additional_contexts": contexts}}
    return {"services": services} if services else {}
