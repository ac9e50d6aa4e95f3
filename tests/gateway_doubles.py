"""Routes without a lab around them: a file put in place as a lab does it, and a gateway that nobody asks."""

import json
import os

from loadtest.lab.gateway.route_change import RouteChange
from loadtest.lab.gateway.routes import ROUTES_FILE

ADDRESSES = {"stable": "s:1", "candidate": "c:2"}


def write_routes(folder, routes):
    """Any routes, also those that no state asks for."""
    partial = folder / f".{ROUTES_FILE}.{os.getpid()}"
    partial.write_text(json.dumps(routes.document()))
    partial.replace(folder / ROUTES_FILE)


class NoGateway(RouteChange):
    """Changes are written, and confirmed at once; ``confirmed`` lists them."""

    def __init__(self, addresses=ADDRESSES):
        super().__init__(lambda: "http://127.0.0.1:9", lambda: addresses)
        self.confirmed = []

    def confirm(self, state):
        self.confirmed.append(state)
