"""What users notice when gateway, controller and versions are killed at random, and start again.

A part of ``python -m benchmarks.canary``: ``--only random_kills --minutes 5 --backend compose``, and
``--fallback``. What ends is started again as ``loadproof canary up`` does it; the controller is
``loadproof canary auto``.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import tomli_w

from benchmarks.canary.rollbacks import set_split
from benchmarks.canary.steady import Load, Record
from loadtest.experiment.experiment import EXPERIMENTS
from loadtest.fetch import page
from loadtest.lab.compose.docker_cli import Docker
from loadtest.lab.compose.lab import ComposeLab
from loadtest.lab.compose.project import Project
from loadtest.lab.gateway.routes import STATE_PATH, Routes
from loadtest.lab.interface import Lab
from loadtest.workflows.canary_up import CHECK_EVERY, Keeper

PERCENT = 10
SERVICES = ("gateway", "stable", "candidate", "controller")
_PAUSE = 2.0, 8.0
"""Seconds between the end of one kill's consequences and the next kill."""
_LONGEST = 60.0
"""Seconds in which all must run again."""


class Kill(NamedTuple):
    """One kill: whom, just before and just after the signal, when it ran again (seconds of the monotonic
    clock), and what was wrong then."""

    service: str
    before: float
    at: float
    back: float
    wrong: str | None


def measure(
    lab: Lab, folder: Path, model: str, rate: float, minutes: float, *, fallback: bool = False
) -> dict[str, Any]:
    """Kill one service after the other for ``minutes``, under ``rate`` requests per second.

    With ``fallback`` the candidate answers what stable fails at.

    Returns:
        Kills by service, failures by what they belong to, and the longest time without an answer: see
        ``summary``; and each wrong split.
    """
    rng = np.random.default_rng(1)
    set_split(lab, PERCENT, fallback=fallback)
    experiment = _experiment(folder, fallback=fallback)
    load = Load(lab, model, rate, minutes * 60)
    ends = time.monotonic() + minutes * 60 - _LONGEST / 4
    keeper = Keeper(lab, lambda line: print(line, flush=True))
    controller = _Controller(lab, folder, experiment, fallback=fallback)
    kills: list[Kill] = []
    left: list[str] = []
    try:
        while True:
            controller.run()
            _wait(keeper, rng.uniform(*_PAUSE))
            if time.monotonic() > ends:
                break
            # a decision is the controller's to take; what must not change the split is a restart
            controller.run()
            left = left or [str(service) for service in rng.permutation(SERVICES)]
            service = left.pop()
            end = controller.kill if service == "controller" else _killer(lab, service)
            before = time.monotonic()
            end()
            at = time.monotonic()
            wrong = _until_back(lab, keeper, service)
            kills.append(Kill(service, before, at, time.monotonic(), wrong))
            print(kills[-1], flush=True)
    finally:
        controller.kill()
    return {"rate": rate, "minutes": minutes, "decisions": controller.ends} | summary(kills, load.records())


def summary(kills: Sequence[Kill], records: Sequence[Record]) -> dict[str, Any]:
    """What became of the users' requests.

    Returns:
        ``kills`` by service; ``wrong``: what did not match afterwards; ``failed`` requests: ``in_flight``,
        sent before a kill of a version or the gateway had returned, ``gateway_down``: sent until it was back,
        ``others``; per service ``longest_gap_s``, the longest time without an answer around its kills.
    """
    failed = {"in_flight": 0, "gateway_down": 0, "others": 0}
    others: dict[str, int] = dict.fromkeys(SERVICES, 0)
    for record in records:
        if record.status == 200:
            continue
        mine = [kill for kill in kills if kill.before <= record.done and record.sent <= kill.back]
        if any(kill.service != "controller" and record.sent <= kill.at for kill in mine):
            failed["in_flight"] += 1
        elif any(kill.service == "gateway" for kill in mine):
            failed["gateway_down"] += 1
        else:
            failed["others"] += 1
            for kill in mine[-1:]:
                others[kill.service] += 1
    answered = sorted(record.done for record in records if record.status == 200)
    gaps = list(itertools.pairwise(answered))
    longest = {
        service: max(
            (b - a for kill in kills if kill.service == service for a, b in gaps
             if a <= kill.back and b >= kill.at),
            default=0.0,
        )
        for service in SERVICES
    }  # fmt: skip
    return {
        "kills": {service: sum(kill.service == service for kill in kills) for service in SERVICES},
        "wrong": [f"{kill.service}: {kill.wrong}" for kill in kills if kill.wrong],
        "requests": len(records),
        "failed": failed,
        "others_at": others,
        "longest_gap_s": {service: round(gap, 2) for service, gap in longest.items()},
        "down_s": {
            service: round(float(np.median([k.back - k.at for k in kills if k.service == service] or [0])), 2)
            for service in SERVICES
        },
    }


def why_ended(log: str, code: int) -> str:
    """What a controller said last: a decision is JSON; a lab that is broken for a while is a plain line."""
    last = (log.splitlines() or [""])[-1]
    try:
        said = json.loads(last)
        return f"{said['end']}: {said['why']}"
    except (ValueError, KeyError, TypeError):
        return f"exit code {code}: {last}"


class _Controller:
    """``canary auto`` as a process of its own, which takes no step by itself."""

    def __init__(self, lab: Lab, folder: Path, experiment: Path, *, fallback: bool) -> None:
        self._lab, self._fallback = lab, fallback
        command = [sys.executable, "-m", "loadtest", "canary", "auto", "--json", "--lab", str(folder)]
        self._command = [*command, "--experiment", str(experiment)]
        self._log = folder / "controller.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.ends: list[str] = []

    def run(self) -> None:
        """Start it, unless it runs. One that decided is done: the split is set again before the next one."""
        if self._process and self._process.poll() is None:
            return
        if self._process and self._process.returncode != -signal.SIGKILL:
            self.ends.append(why_ended(self._log.read_text(), self._process.returncode))
            print(self.ends[-1], flush=True)
            set_split(self._lab, PERCENT, fallback=self._fallback)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def kill(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _experiment(folder: Path, *, fallback: bool) -> Path:
    raw = tomllib.loads((EXPERIMENTS / "canary.toml").read_text(encoding="utf-8"))
    raw["canary"] |= {"steps": [PERCENT, 100], "answers": 10**9, "hold": "10h", "fallback": fallback}
    path = folder / "random_kills.toml"
    path.write_text(tomli_w.dumps(raw), encoding="utf-8")
    return path


def _killer(lab: Lab, service: str) -> Callable[[], object]:
    """What kills a service at once; finding it takes longer."""
    if isinstance(lab, ComposeLab):
        container = Project(Docker(), lab.name, ()).containers()[service]
        return lambda: Docker().run("kill", "--signal", "KILL", container.id, timeout=30)
    port = int(getattr(lab.endpoints, service).rsplit(":", 1)[1])
    (process,) = {
        found.pid
        for found in psutil.net_connections("tcp")
        if found.status == psutil.CONN_LISTEN and found.laddr.port == port and found.pid
    }
    return lambda: os.killpg(os.getpgid(process), signal.SIGKILL)


def _wait(keeper: Keeper, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        keeper.check()
        time.sleep(min(CHECK_EVERY, left))


def _until_back(lab: Lab, keeper: Keeper, service: str) -> str | None:
    """Wait until all runs; what is wrong with the gateway's routes then."""
    ends = time.monotonic() + _LONGEST
    while time.monotonic() < ends:
        keeper.check()
        if not lab.ended() and (service == "controller" or _ready(lab, service)):
            break
        time.sleep(CHECK_EVERY / 5)
    else:
        return f"was not back within {_LONGEST:g} s"
    # the controller may decide at any moment, and its routes take a moment to be in force
    for _ in range(20):
        said = page(lab.endpoints.gateway + STATE_PATH, 2.0)
        wanted = Routes.of(lab.canary.read()).state()
        if said and json.loads(said) == wanted:
            return None
        time.sleep(0.1)
    return f"the gateway says {said}, the state {json.dumps(wanted)}"


def _ready(lab: Lab, service: str) -> bool:
    url = getattr(lab.endpoints, service)
    path = STATE_PATH if service == "gateway" else "/v2/health/ready"
    return page(url + path, 2.0) is not None
