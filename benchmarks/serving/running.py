"""One server as a separate process, in its environment and under the CPU limit."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.serving.servers import Server, ports_of
from loadtest.lab.processes.limits import Limits, limits_for

CPUS = 0.5
PORT = 18_400
_START = 180.0


def install(server: Server, cache: Path) -> Path:
    """The folder of its environment's programs, made where it is not there yet."""
    folder = cache / "environments" / server.environment
    listed = isinstance(server.needs, Path)
    needs = [["--require-hashes", "-r", str(server.needs)] if listed else [*server.needs], [*server.more]]
    recipe = "\n".join([server.needs.read_text() if listed else "\n".join(server.needs), *server.more])
    made = folder / "made-of.txt"
    if not made.exists() or made.read_text() != recipe:
        print(f"installing {server.environment} into {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        uv = Path(sys.executable).parent / "uv"
        pip = ["uv", "pip", "install", "--python", str(folder / "bin" / "python")]
        command = (
            [str(uv), *pip[1:]] if uv.exists() else [str(folder / "bin" / "python"), "-m", "pip", "install"]
        )
        for some in filter(None, needs):
            subprocess.run([*command, "--quiet", *some], check=True)
        made.write_text(recipe)
    return folder / "bin"


@contextlib.contextmanager
def running(
    server: Server,
    programs: Path,
    model: Path,
    log: Path,
    cpus: float | None = CPUS,
    asked: bytes | None = None,
) -> Iterator[tuple[Limits, int]]:
    """Start it, wait until it answers, and put the CPU limit into force; its limits and process id.

    ``asked`` is the request that it must answer; None: for a row of zeros.
    """
    limits = limits_for(f"bench-{server.name}", cpus, None)
    # starting is not what is measured
    limits.lift()
    cores = sorted(os.sched_getaffinity(0))
    # the load generator has the last core to itself
    os.sched_setaffinity(0, cores[:-1] or cores)
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                limits.command(server.command(programs, model, PORT)),
                env=server.variables(model) | ports_of(server, PORT),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=model if model.is_dir() else None,
            )
    finally:
        os.sched_setaffinity(0, cores[-1:])
    try:
        _wait(server, process, log, asked or server.request(0, [0.0] * 20))
        limits.enforce()
        yield limits, process.pid
    finally:
        os.sched_setaffinity(0, cores)
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        limits.lift()
        limits.remove()
        process.kill()
        process.wait()


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path, asked: bytes) -> None:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", PORT), 5) as connection:
            connection.sendall(asked)
            if connection.recv(64)[9:12] == b"200":
                return
        time.sleep(0.2)
    raise RuntimeError(f"{server.name} does not answer; its output is in {log}")
