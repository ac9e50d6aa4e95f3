"""Images of versions with packages of their own: one layer on top of the model server's."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from contract.version_folder import REQUIREMENTS, requirements_file
from loadtest.errors import LabError, ModelError, StartError
from loadtest.lab.compose.docker_cli import Docker
from loadtest.lab.own_runtime import OwnRuntime

DOCKERFILE = Path(__file__).parents[3] / "services" / "model_server" / "own_runtime.Dockerfile"

_BUILD_SECONDS = 1200.0


def own_image(
    docker: Docker, server: str, runtime: OwnRuntime, version: Path, say: Callable[[str], None]
) -> str:
    """Build the image that serves a version on its own packages; what it holds names it.

    ``server`` is the model server's image, ``version`` the folder that messages name.

    Raises:
        ModelError: its packages cannot be had together, or not as wheels for the image's Python.
        StartError: Docker cannot build it.
    """
    image = f"{server.rpartition(':')[0]}-own:{runtime.digest}"
    say(f"{version.name}: building an image with its {REQUIREMENTS} (minutes the first time, then seconds)")
    with tempfile.TemporaryDirectory() as context:
        (Path(context) / REQUIREMENTS).write_text("\n".join(runtime.packages), encoding="utf-8")
        try:
            docker.run(
                # --quiet would keep back what pip says
                *("build", "--progress", "plain", "--file", str(DOCKERFILE)),
                *("--build-arg", f"SERVER={server}", "--tag", image, context),
                timeout=_BUILD_SECONDS,
            )
        except LabError as error:
            reason = _reason(error.log)
            if not reason:
                # Docker's own trouble, such as a full disk, is no fault of the list
                raise StartError(
                    f"the image with the packages of {requirements_file(version)} cannot be built ({error}); "
                    "look at its last lines, the network and the disk",
                    error.log,
                ) from None
            raise ModelError(
                f"{requirements_file(version)}: cannot be installed on the image's Python {_python()}: "
                f"{reason}; {_remedy(_python())}"
            ) from None
    return image


def _python() -> str:
    """Of the image, as 3.13."""
    return DOCKERFILE.read_text("utf-8").partition("FROM python:")[2].partition("-")[0]


def _reason(log: Sequence[str]) -> str:
    """What pip says, after the seconds that BuildKit writes before it; empty where it is not what failed."""
    said = (re.search(r"\d\.\d+ ERROR: (?!Ignored the following)(.*)", line) for line in log)
    return next((found[1] for found in said if found), "")


def _remedy(image: str, here: tuple[int, int] = sys.version_info[:2]) -> str:
    other = ".".join(map(str, here))
    local = f", or take --backend local, which has Python {other}" if other != image else ""
    return f"name a release that has a wheel for it and leave out what the model does not need{local}"
