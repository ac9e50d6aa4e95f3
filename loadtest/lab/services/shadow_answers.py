"""The answers that a version's server keeps in shadow mode, read page by page over HTTP.

::

    reader = AnswersReader("http://127.0.0.1:8002", Role.CANDIDATE)
    reader.read_into(join)      # what is new, as often as you like
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from contract.shadow import ALONG, ANSWERS_PATH
from loadtest.canary.shadow_join import Join
from loadtest.canary.state import State
from loadtest.errors import GateError, LabError
from loadtest.experiment.role import ROLES, Role
from loadtest.fetch import get
from loadtest.lab.interface import Endpoints

_PAGES = 20
_NO_SUCH_THING = (404, 405, 501)


class AnswersReader:
    """Reads the answers of the server that plays ``role``; what was read is not read again.

    Beside the labels it asks for what is to come ``along``; see ``contract.shadow.ALONG``.
    A page may take ``timeout`` seconds, and so may all the pages of one reading before the last.
    Messages call the ``version`` by its name, where that is known.
    """

    def __init__(
        self, url: str, role: Role, timeout: float = 2.0, along: Sequence[str] = (), version: str = ""
    ) -> None:
        self._url, self._role, self._along = url, role, along
        self._version = version
        self._timeout = timeout
        self._ring = ""
        self._next = 0

    def read_into(self, join: Join) -> bool:
        """Hand over what is new; whether the server answered.

        Raises:
            LabError: it answers, and keeps no answers.
            GateError: its version does not have what was to come along.
        """
        along = f"&along={','.join(self._along)}" if self._along else ""
        deadline = time.monotonic() + self._timeout
        for _ in range(_PAGES):
            answer = get(f"{self._url}{ANSWERS_PATH}?after={self._next}{along}", self._timeout)
            if answer is None or answer.status not in (200, *_NO_SUCH_THING):
                return False
            try:
                page = json.loads(answer.body)
                more = self._take(page, join)
                lacks = [what for what in self._along if what in page.get("lacks", self._along)]
            except (ValueError, KeyError, TypeError, RecursionError):
                raise LabError(
                    f"{self._url} keeps no answers to join (HTTP {answer.status} at {ANSWERS_PATH}); "
                    "a shadow needs Loadproof's model server: leave [canary] shadow out"
                ) from None
            if lacks:
                named = f"{self._role} {self._version}".rstrip()
                outputs = " and ".join(ALONG[what] for what in lacks)
                raise GateError(
                    f"{named} ({self._url}) gives no {' and no '.join(lacks)}, which a gate compares in the "
                    f"shadow; deploy a version with the output {outputs}, or gate agreement >= 99% instead"
                )
            if not more or time.monotonic() > deadline:
                break
        return True

    def _take(self, page: dict[str, Any], join: Join) -> bool:
        """Hand over a page; whether there is another one."""
        ring, records = page["ring"], page["records"]
        if ring != self._ring:
            self._ring = ring
            if self._next:  # started again: its numbers start again
                self._next = 0
                return True
        if page["first"] > self._next and records:
            join.skip(records[0]["at"], self._role)
        if classes := page.get("classes"):
            records = [{**record, "classes": classes} for record in records]
        join.add(records, page["now"], self._role)
        self._next = page["next"]
        return bool(page["more"])


class ShadowReader:
    """Reads the answers of both versions into one join."""

    def __init__(
        self, state: State, endpoints: Endpoints, timeout: float = 2.0, along: Sequence[str] = ()
    ) -> None:
        # stable's first: it says which requests there were
        names = {Role.STABLE: state.now.stable.version, Role.CANDIDATE: state.now.candidate.version}
        self._readers = [
            AnswersReader(endpoints.of(state.services[role]), role, timeout, along, names[role])
            for role in ROLES
        ]

    def read_into(self, join: Join) -> None:
        """Hand over what is new on either side; a server that does not answer has nothing new.

        Raises:
            LabError: a server keeps no answers.
            GateError: a version does not have what was to come along.
        """
        for reader in self._readers:
            reader.read_into(join)
