"""An environment and two processes of a server, and a comparison of them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.servers.servers import CACHE, PROGRAMS, ROOT, Server, Trial
from loadtest.lab.free_ports import HOST, free_port

RATE, SECONDS = 10, 8
PYTHON = "3.11"
"""All of the servers install with it."""

KINDS = ("good", "broken")
_START = 240.0
_COMPARE = 600.0


class NotInstallableError(Exception):
    """The server has no place on this machine; the text says why."""


def install(server: Server) -> Path:
    """The folder of its environment's programs, made where it is not there yet, and its models.

    Raises:
        NotInstallableError: uv cannot do it.
        RuntimeError: the models cannot be trained there.
    """
    place = CACHE / "environments" / server.name
    made = place / "made-of.txt"
    recipe = "\n".join([PYTHON, *server.needs])
    if not made.exists() or made.read_text() != recipe:
        print(f"installing {server.name} into {place}", flush=True)
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if uv is None:
            raise NotInstallableError("uv is not installed")
        try:
            base = ["--python", PYTHON] if not server.debian else _beside(server.debian)
            _run([uv, "venv", "--quiet", "--clear", *base, str(place)])
            _run([uv, "pip", "install", "--quiet", "--python", str(place / "bin" / "python"), *server.needs])
        except RuntimeError as error:
            raise NotInstallableError(str(error)) from None
        made.write_text(recipe)
    programs = place / "bin"
    _run([str(programs / "python"), str(PROGRAMS / server.models), str(models_of(server))])
    return programs


def _beside(debian: str) -> list[str]:
    """What makes an environment that sees packages of Debian.

    Raises:
        NotInstallableError: they are not there.
    """
    asked = ["dpkg-query", "--show", "--showformat=${db:Status-Status}"]
    if shutil.which(asked[0]) is None or not all(
        subprocess.run([*asked, name], capture_output=True, text=True).stdout == "installed"
        for name in debian.split()
    ):
        raise NotInstallableError(f"it needs `apt-get install {debian}` of Debian 12")
    return ["--python", f"/usr/bin/python{PYTHON}", "--system-site-packages"]


def models_of(server: Server) -> Path:
    """The folder of its models and evaluation sets."""
    return CACHE / "models" / server.name


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()
        raise RuntimeError(f"{Path(command[0]).name}: {said[-1]}")


@contextlib.contextmanager
def running(server: Server, programs: Path, model: str) -> Iterator[dict[str, int]]:
    """Both of its processes; the port of each kind.

    Raises:
        RuntimeError: one ends, or does not listen in time.
    """
    with contextlib.ExitStack() as stack:
        yield {kind: stack.enter_context(_process(server, programs, model, kind)) for kind in KINDS}


@contextlib.contextmanager
def _process(server: Server, programs: Path, model: str, kind: str) -> Iterator[int]:
    port = _free_ports()
    folder = models_of(server) / kind
    log = CACHE / "logs" / f"{server.name}-{model}-{kind}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            server.command(programs, folder, port, model),
            env=server.variables(folder, port) | {"PATH": f"{programs}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=PROGRAMS,
            start_new_session=True,
        )
    try:
        ports = {port, port + 1} if any(trial.protocol == "oip-grpc" for trial in server.trials) else {port}
        for each in ports:
            _wait(process, each, log, server.says)
        yield port
    finally:
        for way in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, way)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)


def _free_ports() -> int:
    """A port that is free, and so are the two after it: of gRPC and of metrics."""
    while True:
        port = free_port()
        with contextlib.suppress(OSError, OverflowError), contextlib.ExitStack() as stack:
            for beside in (port + 1, port + 2):
                stack.enter_context(socket.socket()).bind((HOST, beside))
            return port


def _wait(process: subprocess.Popen[bytes], port: int, log: Path, says: str) -> None:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 5):
            if says in log.read_text(errors="replace"):
                return
        time.sleep(0.2)
    raise RuntimeError(f"it does not serve on port {port}; the server's output is in {log}")


def compare(server: Server, trial: Trial, stable: int, candidate: int) -> dict[str, Any]:
    """What ``loadproof compare`` of the servers on two ports says.

    Raises:
        RuntimeError: it ends without a verdict.
    """
    place = CACHE / "runs" / server.name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    data = models_of(server) / f"{trial.data}.csv"
    (place / "experiment.toml").write_text(experiment(server, trial, data, stable, candidate))
    command = [sys.executable, "-m", "loadtest", "compare", "--experiment", str(place / "experiment.toml")]
    try:
        done = subprocess.run(
            [*command, "--results", str(place)], capture_output=True, text=True, cwd=ROOT, timeout=_COMPARE
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"no verdict within {_COMPARE:g} s") from None
    found = place / "latest" / "verdict.json"
    if not found.exists():
        lines = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()
        raise RuntimeError(lines[-1])
    said = json.loads(found.read_text())
    roles = [said["versions"]["stable"], said["versions"]["candidate"]]
    judged = said["gates"][-1]
    return {
        "verdict": said["verdict"],
        "reason": said["reason"],
        "requests": roles[0]["requests"],
        "errors": [role["errors"] for role in roles],
        "quality": [judged["stable"], judged["candidate"]],
    }


def experiment(server: Server, trial: Trial, data: Path, stable: int, candidate: int) -> str:
    """The experiment of a trial, with its evaluation set and the ports of REST."""
    # by their scores a good model and one that guesses differ by half; by their labels by a third or more
    quality = "roc_auc >= stable - 0.1" if trial.is_scored else "accuracy >= stable - 15pp"
    offset = trial.protocol == "oip-grpc"
    names = data.read_text().partition("\n")[0].split(",")
    target = {
        "protocol": trial.protocol,
        "stable": f"http://{HOST}:{stable + offset}",
        "candidate": f"http://{HOST}:{candidate + offset}",
        **trial.target,
    }
    lines = [
        f'name = "{server.name}"',
        f"gates = {json.dumps(['error_rate <= stable + 5pp', quality])}",
        "[model]",
        f'name = "{trial.served}"',
        'folder = "."',
        "[data]",
        f"path = {json.dumps(str(data))}",
        f"features = {json.dumps([name for name in names if name != 'label'])}",
        *(['classes = ["0", "1"]'] if trial.is_scored else []),
        "[target]",
        *(f"{key} = {json.dumps(value)}" for key, value in target.items()),
        "[load]",
        f"rate = {RATE}",
        f'duration = "{SECONDS}s"',
        'warmup = "1s"',
        'baseline = "0s"',
        # whether it can be asked is the question, not how fast: this must run on a busy machine
        'timeout = "5s"',
        'max_lag = "2s"',
    ]
    return "\n".join(lines) + "\n"
