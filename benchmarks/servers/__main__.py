"""``python -m benchmarks.servers``: try what is not tried yet, write results.json and the docs' table."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from benchmarks.servers import report
from benchmarks.servers.running import NotInstallableError, compare, install, running
from benchmarks.servers.servers import CACHE, SERVERS, Server, Trial

_PARTIAL = CACHE / "trials.json"


def main(arguments: list[str]) -> int:
    """Try every server in every way that is not tried yet."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.servers", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="stop after so many; the next call goes on")
    parser.add_argument("--only", action="append", help="these servers")
    parser.add_argument("--again", action="store_true", help="forget what was tried before")
    parser.add_argument("--tables", action="store_true", help="try nothing, only write the table again")
    options = parser.parse_args(arguments)
    if options.tables:
        report.write()
        return 0
    known: dict[str, Any] = {"skipped": {}, "trials": []}
    if _PARTIAL.exists() and not options.again:
        known = json.loads(_PARTIAL.read_text())
    end = time.monotonic() + options.minutes * 60
    failed = 0
    for server in SERVERS:
        if options.only and server.name not in options.only:
            continue
        missing = [trial for trial in server.trials if not _is_known(known, server, trial)]
        if time.monotonic() > end:
            print("stopped; the next call goes on here")
            return 1
        if not missing:
            continue
        try:
            known["skipped"].pop(server.name, None)
            for said in _tried(server, missing):
                failed += "itself" not in said
                if "itself" in said:
                    known["trials"].append(said)
                _save(known)
        except NotInstallableError as reason:
            print(f"{server.name}: {reason}", flush=True)
            known["skipped"][server.name] = str(reason)
            _save(known)
    if failed or options.only:
        return int(failed > 0)
    report.RESULTS.write_text(json.dumps(known, indent=1) + "\n")
    report.write()
    return 0


def _save(known: dict[str, Any]) -> None:
    _PARTIAL.parent.mkdir(parents=True, exist_ok=True)
    _PARTIAL.write_text(json.dumps(known))


def _is_known(known: dict[str, Any], server: Server, trial: Trial) -> bool:
    try:
        return bool(report.found(known, server, trial)["version"] == server.version)
    except LookupError:
        return False


def _tried(server: Server, trials: list[Trial]) -> Iterator[dict[str, Any]]:
    """What came of each trial; without ``itself``, it did not come to a verdict."""
    try:
        programs = install(server)
    except RuntimeError as error:
        print(f"{server.name}: {error}", flush=True)
        yield {"server": server.name}
        return
    for model, group in groupby(trials, lambda trial: trial.served if server.is_alone else "all"):
        mine = list(group)
        try:
            with running(server, programs, model) as ports:
                for trial in mine:
                    yield _verdicts(server, trial, ports)
        except RuntimeError as error:
            print(f"{server.name}: {error}", flush=True)
            yield {"server": server.name}


def _verdicts(server: Server, trial: Trial, ports: dict[str, int]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "server": server.name, "version": server.version, "protocol": trial.protocol, "rows": trial.rows,
    }  # fmt: skip
    begun = time.monotonic()
    try:
        itself = compare(server, trial, ports["good"], ports["good"])
        broken = compare(server, trial, ports["good"], ports["broken"])
    except RuntimeError as error:
        print(f"{server.name:10} {trial.protocol:10} {trial.rows:12} {error}", flush=True)
        return said
    print(
        f"{server.name:10} {trial.protocol:10} {trial.rows:12} {itself['verdict']} {itself['quality']}, "
        f"broken {broken['verdict']} {broken['quality']} ({time.monotonic() - begun:.0f} s)",
        flush=True,
    )
    return said | {"itself": itself, "broken": broken}


if __name__ == "__main__":
    # whoever is told to end ends the servers first
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
