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
import time
import warnings
from collections.abc import Callable
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from prometheus_client import CollectorRegistry, disable_created_metrics

from services.model_server.canary.faults import Faults
from services.model_server.columns import Rows
from services.model_server.errors import AddressError
from services.model_server.http.app import create_app, in_front_of
from services.model_server.http.inference import Settings
from services.model_server.http.slow_requests import watch
from services.model_server.runtime import Run
from services.model_server.version import LoadedVersion

STOP_TIMEOUT = 12
"""Seconds for requests in flight after the drain; a bit more than the longest of them may take."""

CHEAP = 150e-6
"""Seconds of CPU time for a row, on average over the examples, below which a model is run at once: a
hand-over costs as much."""

PATIENCE = 0.2
"""Seconds of CPU time that finding this out may take."""

CONNECTIONS = 1024
"""Connections that are served at a time; one more waits until another ends. Each gets a thread as soon as all
others are occupied, so that clients who send half a request never take the last one. A thread that waits for
a body takes some 60 kB."""

_PR_SET_PDEATHSIG = 1

_MALLOC = {-8: 2, -3: 2**20, -1: 2**23}
"""``M_ARENA_MAX``, ``M_MMAP_THRESHOLD`` and ``M_TRIM_THRESHOLD`` of glibc's ``mallopt``. As it comes, each of
many threads keeps what its largest request took: sixteen times 40 MB were more than a version has."""


def serve(
    version: LoadedVersion,
    *,
    host: str,
    port: int,
    threads: int | None,
    drain: float,
    faults: bool = False,
    feedback_token: str = "",
) -> int:
    """Serve until SIGTERM or SIGINT; where no ``threads`` are given, each connection may have one.

    Without a ``feedback_token`` feedback is refused. ``drain`` is in seconds: between not being ready any
    more and not accepting any more.

    Returns:
        0 after a stop that was asked for, 1 when the worker died.
    """
    logging.basicConfig(level=logging.WARNING, format="model-server: %(message)s")
    stopping = mmap.mmap(-1, 1)
    # a model's own Python code may take any time, whatever one row took
    batching = version.runner == "scikit-learn" or cost_of_a_row(version) > CHEAP
    # a quarter of the threads stays free to say quickly that the queue is full
    max_queue = max(threads * 3 // 4, 1) if threads else Settings.max_queue
    settings = Settings(batching=batching, max_queue=max_queue, feedback_token=feedback_token)
    server = Granian(
        "services.model_server",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        backlog=CONNECTIONS,
        backpressure=CONNECTIONS,
        blocking_threads=threads or CONNECTIONS,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.error,
        workers_kill_timeout=STOP_TIMEOUT,
    )

    def load_worker() -> Callable[..., list[bytes]]:
        _end_with_parent()
        _give_memory_back()
        _hear_signals_in_a_thread()
        app = create_app(
            version,
            CollectorRegistry(),
            settings,
            is_ready=lambda: not stopping[0],
            faults=Faults(version.classes) if faults else None,
        )
        watch(app.extensions["inference"].readers)
        return in_front_of(app, app.extensions["inference"], version)

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
                timer = threading.Timer(drain, stop, (signum, frame))
                # told a second time, the process does not wait for it
                timer.daemon = True
                timer.start()

        signal.signal(signal.SIGTERM, handle)
        sys.stderr.write(
            f"model-server: {version.name} {version.version} on http://{host}:{port} "
            f"({threads or 'auto'} threads, batching {'on' if batching else 'off'}"
            f"{', faults can be injected' if faults else ''})\n"
            f"model-server: run by {version.runner}{version.reason and f': {version.reason}'}\n"
            + "".join(f"model-server: {note}\n" for note in version.notes)
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


def _hear_signals_in_a_thread() -> None:
    """Hand SIGTERM and SIGINT to granian's handler from a thread that waits for them.

    Python runs a handler in the main thread only, and granian's sleeps in a lock there, from which a signal
    did not always wake it: one stop in ten of a worker with requests in flight was heard by nobody. It
    went on accepting until it was killed, and its requests were lost.
    """
    told = {signal.SIGTERM, signal.SIGINT}
    # every thread that is started from here on inherits the mask
    signal.pthread_sigmask(signal.SIG_BLOCK, told)

    def hear() -> None:
        while True:
            signum = signal.sigwait(told)
            handler = signal.getsignal(signum)
            if callable(handler):
                handler(signum, None)

    threading.Thread(target=hear, name="signals", daemon=True).start()


def cost_of_a_row(version: LoadedVersion) -> float:
    """Seconds of CPU time that one row alone takes: the mean of the examples, each at best of a few tries.

    A row that the direct way leaves to scikit-learn costs a thousand times what its neighbours do, so one row
    says little. It takes no longer than ``PATIENCE`` and two rows.
    """
    first = _cost(version.run, version.example, tries=5)
    costs = [first]
    spent = 0.0
    for number in range(1, len(version.examples)):
        # a dear one has decided already
        if first > CHEAP or spent > PATIENCE:
            break
        costs.append(_cost(version.run, version.examples[number : number + 1], tries=2))
        spent += 2 * costs[-1]
    return sum(costs) / len(costs)


def _cost(run: Run, row: Rows, tries: int) -> float:
    costs = []
    for _ in range(tries):
        started = time.thread_time()
        run(row, frozenset(["predict"]))
        costs.append(time.thread_time() - started)
    return min(costs)


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


def _give_memory_back() -> None:
    """Have the C library keep little of what was freed; before any thread begins."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, value in _MALLOC.items():
            mallopt(parameter, value)


def _end_with_parent() -> None:
    """Have the kernel stop the worker when its parent is killed and can no longer do it."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
