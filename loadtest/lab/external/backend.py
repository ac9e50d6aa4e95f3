"""Servers by their URLs as a backend, for experiments with ``[target]``."""

from __future__ import annotations

from loadtest.experiment.experiment import Experiment
from loadtest.lab.external.lab import UrlsLab
from loadtest.lab.interface import LabRequest, OpenLab
from loadtest.lab.local.supervisor import log_folder


class UrlsBackend:
    """See ``interface.Backend``."""

    name = "urls"
    title = "two servers by their URLs"
    rank = 1
    external = True

    def refuses(self, experiment: Experiment) -> str | None:
        """Everything for which the servers would have to be ours."""
        if experiment.load.traffic != "duet" or experiment.load.restarts > 1:
            return f"{self.title} take duet traffic, and cannot be restarted"
        return None

    def prepare(self, request: LabRequest) -> OpenLab:
        """Nothing to prepare: they run already."""
        target, folder = request.experiment.target, log_folder()
        assert target is not None  # noqa: S101 - for the type checker: only such experiments come here
        return lambda _: UrlsLab(target, folder)


BACKEND = UrlsBackend()
