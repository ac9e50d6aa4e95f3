"""Our images and how they are built: by Compose for this machine, by buildx for several platforms."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.images.bases import override, read_pins
from deploy.images.stamp import ROOT, Stamp
from loadtest.errors import LabError, StartError, UsageError
from loadtest.lab.compose.docker_cli import Docker

_OURS = {"LOADPROOF_IMAGES": "loadproof", "STABLE_IMAGE": "", "CANDIDATE_IMAGE": ""}
"""Whatever the environment pulls from elsewhere, it is our own images that are built and pushed."""


@dataclass(frozen=True)
class Image:
    """One of our images.

    Args:
        name: such as ``model-server``.
        service: one service of ``compose.yaml`` that builds it.
        local: its name here, with the tag.
        dockerfile: what it is built from.
    """

    name: str
    service: str
    local: str
    dockerfile: Path


def own_images(docker: Docker, only: Sequence[str] = ()) -> list[Image]:
    """The images that ``compose.yaml`` builds, each once, by name.

    ``only`` names some of them; empty: all.

    Raises:
        UsageError: one of these names is none of an image.
    """
    text = docker.run(
        *("compose", "--project-directory", str(ROOT), "--profile", "*", "config", "--format", "json"),
        timeout=30,
        environment=_OURS,
    )
    found: dict[str, Image] = {}
    for service, description in sorted(json.loads(text)["services"].items()):
        if "build" in description:
            local = description["image"]
            name = local.rpartition("/")[2].partition(":")[0]
            dockerfile = ROOT / description["build"]["dockerfile"]
            found.setdefault(name, Image(name, service, local, dockerfile))
    if unknown := set(only) - set(found):
        raise UsageError(
            f"IMAGES: no image {', '.join(sorted(unknown))}; there are {', '.join(sorted(found))}"
        )
    return [found[name] for name in sorted(only or found)]


def build(docker: Docker, images: Sequence[Image], stamp: Stamp) -> None:
    """Build images for this machine, under the names that ``compose.yaml`` gives them."""
    services = [image.service for image in images]
    with compose_files(images, read_pins()) as files:
        named = [word for file in files for word in ("--file", str(file))]
        where = ["--project-directory", str(ROOT), *named, "--profile", "*"]
        _follow(docker, stamp, "compose", *where, "build", *services)


def bake(
    docker: Docker, images: Sequence[Image], stamp: Stamp, platforms: Sequence[str], registry: str = ""
) -> None:
    """Build images for several platforms; with a registry, push them there too.

    An Engine without containerd's image store cannot hold such images: without a registry they stay in the
    builder's cache, and what was shown is that they build.

    Raises:
        StartError: the builder cannot; the line says what it lacks.
    """
    require_platforms(docker, platforms)
    with compose_files(images, read_pins()) as files:
        _follow(docker, stamp, "buildx", "bake", *bake_arguments(images, stamp, platforms, registry, files))


def bake_arguments(
    images: Sequence[Image],
    stamp: Stamp,
    platforms: Sequence[str],
    registry: str = "",
    files: Sequence[Path] = (ROOT / "compose.yaml",),
) -> list[str]:
    """What ``docker buildx bake`` is asked; see ``bake``."""
    arguments = [*(f"--file={file}" for file in files), *(f"--set=*.platform={name}" for name in platforms)]
    if registry:
        arguments += [
            f"--set={image.service}.tags={registry}/{image.name}:{tag}"
            for image in images
            for tag in stamp.tags
        ]
    arguments.append("--push" if registry else "--set=*.output=type=cacheonly")
    return [*arguments, *(image.service for image in images)]


@contextmanager
def compose_files(images: Sequence[Image], pins: Mapping[str, str]) -> Iterator[list[Path]]:
    """The Compose files to build by: ours, and one of pinned bases where there are any."""
    ours, pinned = (
        [ROOT / "compose.yaml"],
        override({image.service: image.dockerfile for image in images}, pins),
    )
    with tempfile.TemporaryDirectory(prefix="loadproof-bases-") as folder:
        if pinned:
            # JSON is YAML; what is named .json, buildx reads as its own language and takes nothing from
            ours.append(Path(folder) / "bases.yaml")
            ours[-1].write_text(json.dumps(pinned), encoding="utf-8")
        yield ours


def require_platforms(docker: Docker, platforms: Sequence[str]) -> None:
    """Look whether the current builder can build for these platforms.

    Raises:
        StartError: it cannot, or there is none.
        UsageError: not a platform.
    """
    for platform in platforms:
        if not re.fullmatch(r"[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?", platform):
            raise UsageError(f"PLATFORMS: {platform!r} is not a platform; give linux/amd64,linux/arm64")
    try:
        told = docker.run("buildx", "inspect", timeout=30)
    except LabError as error:
        raise StartError(f"PLATFORMS needs Docker's buildx plugin ({error})") from None
    driver = re.search(r"^Driver:\s+(\S+)", told, re.M)
    if driver and driver[1] == "docker" and len(platforms) > 1 and "containerd" not in _store(docker):
        raise StartError(
            "this builder makes one platform at a time: run `docker buildx create --use`, "
            "or switch containerd's image store on"
        )
    known = {
        p.strip("* ") for line in re.findall(r"^Platforms:\s+(.*)$", told, re.M) for p in line.split(",")
    }
    if missing := [platform for platform in platforms if platform not in known]:
        raise StartError(
            f"this builder cannot run {', '.join(missing)} (it has {', '.join(sorted(known)) or 'none'}): "
            "install QEMU's handlers (docker run --privileged --rm tonistiigi/binfmt --install all)"
        )


def _store(docker: Docker) -> str:
    return docker.run("info", "--format", "{{.DriverStatus}}", timeout=30)


def _follow(docker: Docker, stamp: Stamp, *arguments: str) -> None:
    """Run a command that a person watches.

    Raises:
        LabError: it failed; what it wrote says why.
    """
    environment = {**os.environ, **_OURS, **stamp.variables}
    code = subprocess.run([docker.program, *arguments], env=environment, check=False).returncode
    if code:
        raise LabError(f"docker {arguments[0]} ended with exit code {code}: look at its last lines")
