"""Images of versions with packages of their own: one layer on top of the model server's."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from contract.version_folder import REQUIREMENTS, requirements_file
from loadtest.errors import LabError, ModelError
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
    """
    image = f"{server.rpartition(':')[0]}-own:{runtime.digest}"
    say(f"{version.name}: building an image with its {REQUIREMENTS} (minutes the first time, then seconds)")
    with tempfile.TemporaryDirectory() as context:
        (Path(context) / REQUIREMENTS).write_text("\n".join(runtime.packages), encoding="utf-8")
        try:
            docker.run(
                *("build", "--quiet", "--file", str(DOCKERFILE), "--build-arg", f"SERVER={server}"),
                *("--tag", image, context),
                timeout=_BUILD_SECONDS,
            )
        except LabError as error:
            said = next((line for line in error.log if "ERROR: " in line), str(error))
            reason = said.partition("ERROR: ")[2] or said
            raise ModelError(f"{requirements_file(version)}: cannot be installed: {reason}") from None
    return image
