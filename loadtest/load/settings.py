"""What the environment says to the load generator where Locust, and not the loadproof command, starts it.

====================  =================================================  ==========================
variable              meaning                                            default
====================  =================================================  ==========================
LOADPROOF_EXPERIMENT  name of a bundled experiment, or path of a file    compare
LOADPROOF_DATA        path of the evaluation set on this machine         the experiment's
LOADPROOF_RESULTS     folder of the run folders                          results
LOADPROOF_TARGET      base URL of the gateway as a worker reaches it     the master's --host
LOADPROOF_TARGETS     file that names the versions' servers to Prometheus  none
LOADPROOF_METRICS_PROXY  base URL of a page HOST/metrics for each of them  they are asked directly
LOADPROOF_PAGES       URL at which a browser finds Locust's web UI       where Locust listens
LOADPROOF_PAGE_HOSTS  other names of it in a browser, with commas         none
LOADPROOF_WORKER_TOKEN  shared by the master and its workers, who sign with it  none
LOADPROOF_WORKER_HOSTS  hosts, with commas, that a worker's master may name    none
LOADPROOF_WORKER_VARIABLES  variables that it may take headers from            none
LOADPROOF_FEEDBACK_TOKEN  lets users' feedback in; LOADPROOF_FEEDBACK_TOKEN_FILE: a file with it  none
LOADPROOF_BACKEND     what runs the lab, for the record                  local
LOADPROOF_STABLE      the version that the lab runs as stable            the experiment's
LOADPROOF_CANDIDATE   the version that it runs as the candidate          the experiment's
LOADPROOF_RATE        arrivals per second; Locust's option --rate          the experiment's
LOADPROOF_DURATION    measured time; Locust's option --duration          the experiment's
====================  =================================================  ==========================
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from contract.feedback_token import TokenError, feedback_token
from loadtest.errors import UsageError


@dataclass(frozen=True)
class Settings:
    """``Settings.read()``; empty variables count as not set. See the module for what each one means."""

    experiment: str = "compare"
    data: Path | None = None
    results: Path = Path("results")
    target: str | None = None
    targets: Path | None = None
    metrics_proxy: str | None = None
    pages: str | None = None
    page_hosts: tuple[str, ...] = ()
    worker_token: str | None = field(default=None, repr=False)
    worker_hosts: tuple[str, ...] = ()
    worker_variables: tuple[str, ...] = ()
    feedback_token: str = field(default="", repr=False)
    backend: str = "local"
    stable: str | None = None
    candidate: str | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """The settings of this process.

        Raises:
            UsageError: the token for feedback cannot be used.
        """

        def said(name: str) -> str | None:
            return environ.get(f"LOADPROOF_{name}") or None

        data, targets = said("DATA"), said("TARGETS")
        return cls(
            experiment=said("EXPERIMENT") or cls.experiment,
            data=Path(data) if data else None,
            results=Path(said("RESULTS") or cls.results),
            target=said("TARGET"),
            targets=Path(targets) if targets else None,
            metrics_proxy=said("METRICS_PROXY"),
            pages=said("PAGES"),
            page_hosts=_names(said("PAGE_HOSTS")),
            worker_token=said("WORKER_TOKEN"),
            worker_hosts=_names(said("WORKER_HOSTS")),
            worker_variables=_names(said("WORKER_VARIABLES")),
            feedback_token=_feedback_token(environ),
            backend=said("BACKEND") or cls.backend,
            stable=said("STABLE"),
            candidate=said("CANDIDATE"),
        )


def _feedback_token(environ: Mapping[str, str]) -> str:
    try:
        return feedback_token(environ)
    except TokenError as error:
        raise UsageError(str(error)) from None


def _names(listed: str | None) -> tuple[str, ...]:
    return tuple(name for part in (listed or "").split(",") if (name := part.strip()))
