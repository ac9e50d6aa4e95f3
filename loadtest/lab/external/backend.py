"""Servers by their URLs as a backend, for experiments with ``[target]``."""

from __future__ import annotations

from loadtest.errors import ExperimentError
from loadtest.experiment.experiment import Experiment
from loadtest.lab.external.lab import UrlsLab
from loadtest.lab.interface import Backend, LabRequest, OpenLab
from loadtest.lab.processes.supervisor import log_folder
from loadtest.load.protocols import protocol_named

_TITLE = "two servers by their URLs"


def _refuses(experiment: Experiment) -> str | None:
    if experiment.target is not None:
        try:
            protocol_named(experiment.target.protocol).check_target(experiment.target)
        except ExperimentError as error:
            return str(error)
    if experiment.load.traffic != "duet" or experiment.load.restarts > 1:
        return f"{_TITLE} take duet traffic, and cannot be restarted"
    return None


def _prepare(request: LabRequest) -> OpenLab:
    target, folder = request.experiment.target, log_folder()
    assert target is not None  # noqa: S101 - for the type checker: only such experiments come here
    return lambda _: UrlsLab(target, folder, request.workers)


BACKEND = Backend("urls", _TITLE, rank=1, prepare=_prepare, refuses=_refuses, external=True)
