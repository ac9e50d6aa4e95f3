"""Who came by which arm of the split, as both versions' servers tell it, read page by page over HTTP.

::

    reader = ArmsReader(state, endpoints)
    reader.read()       # per role what is new; None: the server did not tell
"""

from __future__ import annotations

import json

from contract.arms import ARMS_PATH
from loadtest.canary.split_check import ArmsPage
from loadtest.canary.state import State
from loadtest.experiment.role import Role
from loadtest.fetch import get
from loadtest.lab.interface import Endpoints

_PAGES = 20


class Server:
    """Reads one server; what was read is not read again."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url, self._timeout = url, timeout
        self._part: tuple[str, int] | None = None
        self._next = 0

    def read(self) -> ArmsPage | None:
        """What is new; None: it does not answer, or is not a server that tells."""
        found: ArmsPage | None = None
        for _ in range(_PAGES):
            answer = get(f"{self._url}{ARMS_PATH}?after={self._next}", self._timeout)
            if answer is None or answer.status != 200:
                break
            try:
                document = json.loads(answer.body)
                page = ArmsPage.of(document)
                part, following = (document["ring"], page.step), int(document["next"])
                more = bool(document["more"])
            except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError):
                break
            if part != self._part:
                known, self._part = self._part, part
                found = None
                if known is not None and self._next:  # numbers start again
                    self._next = 0
                    continue
            self._next = following
            found = page if found is None else page._replace(units=(*found.units, *page.units))
            if not more:
                return found
        # half of it would look like a smaller arm: all of it is read again, and counted once
        self._next = 0
        return None


class ArmsReader:
    """Reads the servers of both roles, ``timeout`` seconds a page."""

    def __init__(self, state: State, endpoints: Endpoints, timeout: float = 2.0) -> None:
        services = state.services.items()
        self._servers = {role: Server(endpoints.of(service), timeout) for role, service in services}

    def read(self) -> dict[Role, ArmsPage | None]:
        """Per role what is new."""
        return {role: server.read() for role, server in self._servers.items()}
