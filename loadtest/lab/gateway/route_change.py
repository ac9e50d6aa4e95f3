"""Where a route changes: a state becomes the files that the gateway reads, and is in force when it says so.

::

    routes = RouteChange(lambda: "http://127.0.0.1:8080", lambda: {Role.STABLE: "127.0.0.1:8001", ...})
    FolderStore(folder, routes).update(lambda state: state.set(10, sign("first step")))

Every lab wires its gateway to its state through this. It imports little: a rollback must not wait.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from loadtest.canary.codec import STATE_FILE, encode
from loadtest.canary.state import State
from loadtest.errors import LabError
from loadtest.experiment.role import Role
from loadtest.lab.gateway.routes import ROUTES_FILE, STATE_PATH, Routes

TARGETS_FILE = "targets.json"

_POLL = 0.01


class RouteChange:
    """How a state of the canary gets into force at one gateway.

    Args:
        gateway: its base URL, asked for when it is needed.
        addresses: ``host:port`` of each version by its service, as Prometheus sees it; a control is one.
        within: seconds that the gateway gets to take routes over.
    """

    def __init__(
        self, gateway: Callable[[], str], addresses: Callable[[], Mapping[Role, str]], within: float = 5.0
    ) -> None:
        self._gateway, self._addresses, self._within = gateway, addresses, within

    def files(self, state: State) -> dict[str, str]:
        """The state's own file and those that derive from it, text by name."""
        addresses = self._addresses()
        routes = Routes.of(state, control=Role.CONTROL in addresses)
        return {
            STATE_FILE: encode(state),
            ROUTES_FILE: json.dumps(routes.document(), indent=1) + "\n",
            TARGETS_FILE: scrape_targets(state, addresses),
        }

    def confirm(self, state: State) -> None:
        """Wait until the gateway says that a state's routes are in force.

        Raises:
            LabError: it does not say so in time.
        """
        confirm_routes(self._gateway(), Routes.of(state), self._within)


def scrape_targets(state: State, addresses: Mapping[Role, str]) -> str:
    """Prometheus' targets file: ``role`` tells who plays stable now, also after a promotion."""
    targets = [
        {"targets": [addresses[service]], "labels": {"role": role}}
        for role, service in state.services.items()
    ]
    return json.dumps(targets, indent=1) + "\n"


def confirm_routes(gateway: str, routes: Routes, within: float) -> None:
    """Wait ``within`` seconds until the gateway says that these routes are in force, or later ones.

    Raises:
        LabError: it does not say so in time.
    """
    # not before the change is written: the import takes longer than the gateway does
    from loadtest.fetch import page

    deadline = time.monotonic() + within
    while True:
        said = page(gateway + STATE_PATH, timeout=1.0)
        if said and _in_force(said, routes):
            return
        if time.monotonic() > deadline:
            raise LabError(
                f"the gateway did not take over a split of {routes.split_percent:g}% within {within:g} s; "
                f"it answers {said or 'nothing'}. Its log names a routes file it rejects"
            )
        time.sleep(_POLL)


def _in_force(said: str, routes: Routes) -> bool:
    try:
        now = json.loads(said)
        # somebody else may have changed them again since
        return bool(now == routes.state() or now["serial"] > routes.serial > 0)
    except (ValueError, LookupError, TypeError):
        return False
