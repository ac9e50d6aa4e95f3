"""Base images by digest: a Dockerfile names its base by tag, and the build takes the image that was pinned.

``make pin-bases`` asks the registries for the digests of the tags and writes them to ``bases.txt``, a line
``name:tag@sha256:...`` each, to be committed. Where that file is, ``make images`` and ``make push`` replace
each tag by its digest, and refuse a base that is not in it; without it the tag is taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loadtest.errors import LabError, StartError, UsageError
from loadtest.lab.compose.docker_cli import Docker

PINS = Path(__file__).with_name("bases.txt")
_FROM = re.compile(r"\s*FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?\s*", re.I)
_OPTIONS = re.compile(r"\s*(?:COPY|RUN)((?:\s+--\S+)+)", re.I)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_NAME = re.compile(r"[\w./:@-]+")
_PIN = re.compile(r"(\S+:[\w.-]+)@(sha256:[0-9a-f]{64})")


def bases(dockerfile: Path) -> list[str]:
    """The images that a Dockerfile starts or copies from, by name and tag; stages of its own are none.

    Raises:
        UsageError: one of them cannot be read.
    """
    return _read(dockerfile)[0]


def last_base(dockerfile: Path) -> str:
    """The image that the last stage, the one that is run, goes back to.

    Raises:
        UsageError: one of the images cannot be read.
    """
    return _read(dockerfile)[1]


def _read(dockerfile: Path) -> tuple[list[str], str]:
    arguments: dict[str, str] = {}
    stages: dict[str, str] = {}
    found: dict[str, None] = {}
    last = ""

    def image(name: str, line: str) -> str:
        name = _VARIABLE.sub(lambda v: arguments.get(v[1] or v[2], ""), name)
        if not _NAME.fullmatch(name):
            raise UsageError(f"{dockerfile}: no image can be read from {line.strip()!r}")
        if name.lower() in stages:
            return stages[name.lower()]
        # a stage by its number, and no image at all
        if not name.isdecimal() and name != "scratch":
            found[name] = None
        return name

    for line in re.sub(r"\\\n", " ", dockerfile.read_text(encoding="utf-8")).splitlines():
        word = line.split(maxsplit=1)[0].upper() if line.strip() else ""
        if word == "ARG" and not last:
            # what stands in a stage is not known to FROM
            arguments |= re.findall(r"(\w+)=[\"']?([^\s\"']+)", line)
        elif word == "FROM":
            start = _FROM.fullmatch(line)
            last = image(start[1] if start else "", line)
            if start and start[2]:
                stages[start[2].lower()] = last
        elif options := _OPTIONS.match(line):
            for name in re.findall(r"\bfrom=([^\s,]+)", options[1]):
                image(name, line)
    return list(found), last


def pin(docker: Docker, dockerfiles: Iterable[Path], path: Path = PINS) -> list[str]:
    """Ask for the digest of each base, and write them all; nothing is written unless all are known.

    Returns:
        the lines.

    Raises:
        StartError: a registry does not tell.
    """
    names = sorted({name for dockerfile in dockerfiles for name in bases(dockerfile)})
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


def override(dockerfiles: Mapping[str, Path], pins: Mapping[str, str]) -> dict[str, Any]:
    """A Compose file that has each service built from the pinned bases; empty where nothing is pinned.

    Raises:
        UsageError: other bases are pinned, but not all of these.
    """
    services = {}
    for service, dockerfile in dockerfiles.items() if pins else ():
        names = bases(dockerfile)
        if missing := [name for name in names if name not in pins]:
            raise UsageError(f"{PINS.name}: {', '.join(missing)} is not pinned; run make pin-bases")
        contexts = {name: f"docker-image://{name}@{pins[name]}" for name in names}
        services[service] = {"build": {"additional_contexts": contexts}}
    return {"services": services} if services else {}
