"""Which backend a run takes: Docker Compose where it can be had, local processes elsewhere."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from loadtest.errors import StartError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.lab.compose.docker_cli import Docker
from loadtest.lab.compose.images import provide_images
from loadtest.lab.compose.lab import ComposeLab
from loadtest.lab.external.lab import UrlsLab
from loadtest.lab.interface import IMAGE, Lab, Version
from loadtest.lab.local.lab import LocalLab

BACKENDS = ("auto", "compose", "local")

OpenLab = Callable[[tuple[Version, Version]], Lab]


def check_backend(backend: str, experiment: Experiment) -> None:
    """Refuse what a backend can never do, before anything is built for it.

    Raises:
        UsageError: there is no such backend, or it does not take these versions or this traffic.
    """
    if backend not in BACKENDS:
        raise UsageError(f"no backend {backend!r}; there are {', '.join(BACKENDS)}")
    load = experiment.load
    if experiment.target is not None:
        if load.traffic != "duet" or load.restarts > 1:
            raise UsageError("two servers by their URLs take duet traffic, and cannot be restarted")
        return
    named = (experiment.versions.stable, experiment.versions.candidate)
    image = next((name for name in named if name.startswith(IMAGE)), None)
    if backend == "local" and image is not None:
        raise UsageError(f"{image!r} needs BACKEND=compose; local processes take folders")


def choose_lab(
    backend: str,
    experiment: Experiment,
    say: Callable[[str], None],
    docker: Docker | None = None,
    *,
    state: Path | None = None,
    percent: float = 10.0,
    allow_faults: bool = False,
) -> OpenLab:
    """Make sure that a backend can be had, and return what opens a lab on it.

    Args:
        backend: ``auto``, ``compose`` or ``local``, checked by ``check_backend``.
        experiment: what the lab is for.
        say: where progress goes, a line at a time.
        docker: the client.
        state: folder of the canary's state, which outlives the lab; None: one of the lab's own.
        percent: the split of a new state.
        allow_faults: let the model server be made slow, wrong or failing.

    Raises:
        UsageError: Compose cannot be had, and local processes do not take images.
        StartError: ``compose`` was asked for and cannot be had; the message says why and names the remedy.
    """
    target = experiment.target
    if target is not None:
        folder = _temporary_folder()
        return lambda versions: UrlsLab(target, folder)  # noqa: ARG005 - they run already
    if backend != "local":
        try:
            docker = docker or Docker()
            docker.versions()
            prometheus = provide_images(docker, say)
            return lambda versions: ComposeLab(
                versions,
                docker,
                prometheus=prometheus,
                state=state,
                percent=percent,
                allow_faults=experiment.model.name if allow_faults else "",
            )
        except StartError as error:
            if backend == "compose":
                raise StartError(f"{error}, or take BACKEND=local", error.log) from None
            say(f"taking local processes: {str(error).split('; ')[0]}")
    check_backend("local", experiment)
    folder = _temporary_folder()
    return lambda versions: LocalLab(
        versions, folder, experiment.model.name, state=state, percent=percent, allow_faults=allow_faults
    )


def _temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="loadproof-"))
    # errors carry the lines of the logs that matter
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
