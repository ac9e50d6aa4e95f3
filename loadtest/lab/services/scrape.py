"""One scrape of a running lab over HTTP: everybody's metrics and health, asked for at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import quote

from loadtest.canary.counters import GATEWAY, STATS
from loadtest.errors import LabError
from loadtest.experiment.role import Role
from loadtest.fetch import page
from loadtest.lab.interface import Endpoints

_READY = "/v2/health/ready"


class Pages(NamedTuple):
    """What was answered in time: the texts of the metrics, and who is ready."""

    pages: dict[str, str | None]
    ready: dict[Role, bool]


class Scraper:
    """``Scraper(lab.endpoints, state.services, timeout=1.0)()``; seconds for each answer.

    Raises:
        LabError: the lab does not show its gateway's counters.
    """

    def __init__(self, endpoints: Endpoints, services: Mapping[Role, Role], timeout: float) -> None:
        if endpoints.stats is None:
            raise LabError("the gateway's counters are not published; publish its port 9902 on 127.0.0.1")
        urls = {role: endpoints.of(service) for role, service in services.items()}
        self._metrics: dict[str, str] = {GATEWAY: endpoints.stats + quote(STATS, safe="/?=")}
        self._metrics |= {role: f"{url}/metrics" for role, url in urls.items()}
        self._ready = {role: url + _READY for role, url in urls.items()}
        self._timeout = timeout
        self._pool = ThreadPoolExecutor(max_workers=len(self._metrics) + len(self._ready))

    def __call__(self) -> Pages:
        """Ask everybody; takes as long as the slowest, at most the time-out."""
        pages = {name: self._pool.submit(page, url, self._timeout) for name, url in self._metrics.items()}
        ready = {role: self._pool.submit(page, url, self._timeout) for role, url in self._ready.items()}
        return Pages(
            {name: asked.result() for name, asked in pages.items()},
            {role: asked.result() is not None for role, asked in ready.items()},
        )

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)
