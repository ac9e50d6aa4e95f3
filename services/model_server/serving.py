"""The process around the application: granian, its worker, and the graceful stop.

The version is loaded before the worker is forked, so an unusable one ends the command before anything
listens, and both processes share its memory. On SIGTERM readiness turns false at once, so that the gateway
looks elsewhere; ``drain`` seconds later the worker stops accepting, finishes what is in flight, and ends.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import mmap
import multiprocessing
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from prometheus_client import CollectorRegistry, disable_created_metrics

from services.model_server.app import Settings, create_app
from services.model_server.errors import AddressError
from services.model_server.faults import Faults
from services.model_server.version import LoadedVersion

STOP_TIMEOUT = 12
"""Seconds for requests in flight after the drain; a bit more than the longest of them may take."""

_PR_SET_PDEATHSIG = 1


def serve(
    version: LoadedVersion, *, host: str, port: int, threads: int, drain: float, faults: bool = False
) -> int:
    """Serve until SIGTERM or SIGINT.

    Args:
        version: what is served.
        host: address to listen on.
        port: port to listen on.
        threads: threads that answer requests.
        drain: seconds between not being ready any more and not accepting any more, on SIGTERM.
        faults: whether faults may be injected.

    Returns:
        0 after a stop that was asked for, 1 when the worker died.
    """
    logging.basicConfig(level=logging.WARNING, format="model-server: %(message)s")
    stopping = mmap.mmap(-1, 1)
    server = Granian(
        "services.model_server",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=threads,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.error,
        workers_kill_timeout=STOP_TIMEOUT,
    )

    def load_worker() -> Callable[..., list[bytes]]:
        _end_with_parent()
        # a quarter of the threads stays free to say quickly that the queue is full
        settings = Settings(max_queue=max(threads * 3 // 4, 1))
        app = create_app(
            version,
            CollectorRegistry(),
            settings,
            is_ready=lambda: not stopping[0],
            faults=Faults(version.classes) if faults else None,
        )
        return _in_one_piece(app)

    @server.on_startup
    def install() -> None:
        stop = signal.getsignal(signal.SIGTERM)
        assert callable(stop)  # noqa: S101 - granian has installed it before it calls the hooks

        def handle(signum: int, frame: Any) -> None:
            again = bool(stopping[0])
            stopping[0] = 1
            if again or not drain:
                stop(signum, frame)
            else:
                threading.Timer(drain, stop, (signum, frame)).start()

        signal.signal(signal.SIGTERM, handle)
        sys.stderr.write(
            f"model-server: {version.name} {version.version} on http://{host}:{port} ({threads} threads)"
            f"{', faults can be injected' if faults else ''}\n"
        )

    disable_created_metrics()  # type: ignore[no-untyped-call]
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    multiprocessing.set_start_method("fork", force=True)
    gc.freeze()
    try:
        server.serve(target_loader=load_worker, wrap_loader=False)
    except SystemExit as end:
        return 1 if end.code else 0
    return 0


def check_address(host: str, port: int) -> None:
    """Find out whether an address is free, before the seconds that loading takes.

    Raises:
        AddressError: it cannot be bound.
    """
    # granian's sockets share their port with whoever else shares it: two servers would each get half
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise AddressError(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another --host or --port"
        ) from error


def _end_with_parent() -> None:
    """Have the kernel stop the worker when its parent is killed and can no longer do it."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def _in_one_piece(app: Callable[..., Iterable[bytes]]) -> Callable[..., list[bytes]]:
    """The application with its body as a list: granian sends that whole instead of streaming it."""

    def whole(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        parts = app(environ, start_response)
        try:
            return list(parts)
        finally:
            getattr(parts, "close", lambda: None)()

    return whole
