"""``loadproof worker``: lends this machine to a load test whose master runs elsewhere (docs/workers.md)."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

import loadtest
from loadtest.cli.options import duration
from loadtest.errors import LabError, UsageError
from loadtest.experiment.load import MOST_WORKERS

PORT = 5557
"""Of Locust's master."""

_GREETING = b"\xff" + bytes(8) + b"\x7f"
"""What either end of a ZeroMQ connection says first (RFC 23, signature)."""
_WITHIN = 5.0
_AGAIN = 0.5


def worker(
    master: Annotated[str, typer.Option(help="HOST or HOST:PORT of the master (5557).")],
    target: Annotated[
        str | None,
        typer.Option(help="URL of the gateway from this machine, if it is not the master's."),
    ] = None,
    wait: Annotated[
        str | None, typer.Option(help="How long to wait for a master that does not listen yet, such as 5m.")
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, max=MOST_WORKERS, help="Workers on this machine, at most one per core.")
    ] = 1,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Host or HOST:PORT that the master may have sent to; may be repeated."),
    ] = None,
    allow_variable: Annotated[
        list[str] | None,
        typer.Option(help="Variable of this machine that headers may contain; may be repeated."),
    ] = None,
) -> None:
    """Send a share of another machine's load from this one.

    It ends when the master quits, or on Ctrl-C.
    """
    host, port = address(master)
    await_master(host, port, 0.0 if wait is None else duration("--wait", wait))
    variables = dict(os.environ)
    if target is not None:
        variables["LOADPROOF_TARGET"] = target.rstrip("/")
    if allow_host:
        variables["LOADPROOF_WORKER_HOSTS"] = ",".join(allow_host)
    if allow_variable:
        variables["LOADPROOF_WORKER_VARIABLES"] = ",".join(allow_variable)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # until the process can end quietly
    os.execve(sys.executable, command(host, port, processes), variables)  # noqa: S606 - signals reach Locust itself


def await_master(host: str, port: int, seconds: float, within: float = _WITHIN) -> None:
    """Wait until a master listens, at most so many seconds.

    Raises:
        LabError: none does, or what listens there is something else.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return _greet(host, port, within)
        except OSError as error:
            if time.monotonic() + _AGAIN > end:
                raise LabError(
                    f"{host}:{port}: no master can be reached there ({error.strerror or error}); is it "
                    "running, at this port, and is the port open to this machine? With --wait 5m a worker "
                    "may start first"
                ) from None
        time.sleep(_AGAIN)


def _greet(host: str, port: int, within: float) -> None:
    """See that a master's socket answers; it does so at once, however busy the master is.

    Raises:
        OSError: nothing listens there, says nothing, or hangs up, as a tunnel without its other end does.
        LabError: it says something else.
    """
    said = b""
    with socket.create_connection((host, port), within) as connection:
        connection.settimeout(within)
        connection.sendall(_GREETING)
        while len(said) < len(_GREETING):
            try:
                part = connection.recv(len(_GREETING) - len(said))
            except TimeoutError:
                raise OSError(f"what listens there says nothing within {within:g} s") from None
            if not part:
                raise OSError("what listens there hangs up")
            said += part
    if (said[0], said[-1]) != (_GREETING[0], _GREETING[-1]):
        raise LabError(
            f"{host}:{port}: what listens there is no master (it says {said!r}); give the address that "
            f"`loadproof compare --listen` prints; `make master` listens at port {PORT}"
        )


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
    started = [sys.executable, "-m", "loadtest.load.worker_process", "-f", str(locustfile), "--worker"]
    started += ["--master-host", host, "--master-port", str(port)]
    return started if processes == 1 else [*started, "--processes", str(processes)]
