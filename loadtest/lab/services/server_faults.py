"""Faults that our own model server makes on demand; see ``contract.faults``."""

from __future__ import annotations

import json
from collections.abc import Callable

from contract.faults import FAULTS_PATH
from loadtest.errors import LabError
from loadtest.experiment.experiment import Fault
from loadtest.experiment.role import Role
from loadtest.fetch import put

_SECONDS = 5.0
_NO_SUCH_THING = (404, 405, 501)


class ServerFaults:
    """What is injected into each version of one lab.

    Args:
        url: base URL of a version, by its role.
    """

    def __init__(self, url: Callable[[str], str]) -> None:
        self._url = url
        self._injected: dict[str, list[Fault]] = {}

    def inject(self, role: Role, fault: Fault) -> None:
        """Add a fault to those of a version.

        Raises:
            LabError: its server does not allow it, or does not answer.
        """
        faults = [*self._injected.get(role, []), fault]
        self._send(role, faults)
        self._injected[role] = faults

    def heal(self, role: Role) -> None:
        """End all of a version's faults; nothing is asked of a server that has none.

        Raises:
            LabError: its server does not answer.
        """
        if self._injected.pop(role, []):
            self._send(role, [])

    def forget(self, role: str) -> None:
        """A version was started again: it comes back without faults."""
        self._injected.pop(role, None)

    def _send(self, role: Role, faults: list[Fault]) -> None:
        document = [{"kind": fault.kind, "share": fault.share, "delay": fault.delay} for fault in faults]
        answer = put(f"{self._url(role)}{FAULTS_PATH}", json.dumps(document), timeout=_SECONDS)
        if answer is None:
            raise LabError(f"{role} does not answer; no fault could be injected")
        if answer.status in _NO_SUCH_THING:
            raise LabError(
                f"{role} takes no faults; start its model server with ALLOW_FAULTS naming the model, "
                "or inject killed or paused"
            )
        if answer.status != 200:
            raise LabError(f"{role} refused the fault: {answer.body}")
