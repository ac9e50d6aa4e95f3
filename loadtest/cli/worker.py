"""``loadproof worker``: lends this machine to a load test whose master runs elsewhere (docs/workers.md)."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

import loadtest
from loadtest.errors import LabError, UsageError

PORT = 5557
"""Of Locust's master."""

_WITHIN = 5.0


def worker(
    master: Annotated[str, typer.Option(help="HOST or HOST:PORT of the master (5557).")],
    target: Annotated[
        str | None,
        typer.Option(help="URL of the gateway from this machine, if it is not the master's."),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Workers on this machine, at most one per core.")] = 1,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Host or HOST:PORT that the master may have sent to; may be repeated."),
    ] = None,
    allow_variable: Annotated[
        list[str] | None,
        typer.Option(help="Variable of this machine that headers may contain; may be repeated."),
    ] = None,
) -> None:
    """Send a share of the load from this machine, until the master quits or Ctrl-C."""
    host, port = address(master)
    try:
        socket.create_connection((host, port), _WITHIN).close()
    except OSError as error:
        raise LabError(
            f"{host}:{port}: no master can be reached there ({error.strerror or error}); "
            "is it running, and its port open to this machine?"
        ) from None
    variables = dict(os.environ)
    if target is not None:
        variables["LOADPROOF_TARGET"] = target.rstrip("/")
    if allow_host:
        variables["LOADPROOF_WORKER_HOSTS"] = ",".join(allow_host)
    if allow_variable:
        variables["LOADPROOF_WORKER_VARIABLES"] = ",".join(allow_variable)
    os.execve(sys.executable, command(host, port, processes), variables)  # noqa: S606 - signals reach Locust itself


def address(master: str) -> tuple[str, int]:
    """``("lab", 5557)`` of ``lab`` or ``lab:5557``; an IPv6 address stands in brackets.

    Raises:
        UsageError: it is no address.
    """
    name, colon, port = master.rpartition(":")
    if not colon or master.endswith("]"):
        name, port = master, str(PORT)
    host = name.removeprefix("[").removesuffix("]")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UsageError(
            f"{master!r} is not the address of a master; give HOST or HOST:PORT, such as lab:{PORT}"
        )
    return host, int(port)


def command(host: str, port: int, processes: int) -> list[str]:
    """The command line of Locust's worker, for ``processes`` of them."""
    locustfile = Path(loadtest.__file__).with_name("load") / "locustfile.py"
    started = [sys.executable, "-m", "locust", "-f", str(locustfile), "--worker"]
    started += ["--master-host", host, "--master-port", str(port)]
    return started if processes == 1 else [*started, "--processes", str(processes)]
