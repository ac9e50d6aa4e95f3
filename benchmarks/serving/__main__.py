"""``python -m benchmarks.serving``: measure what is missing, write results.json and the docs' tables."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from benchmarks.serving import report
from benchmarks.serving.measure import CONNECTIONS, Effort, measure
from benchmarks.serving.models import prepare
from benchmarks.serving.running import CPUS, install
from benchmarks.serving.servers import CACHE, SERVERS, Server


def main(arguments: list[str]) -> int:
    """Measure every cell of every round that is not measured yet."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="each measures every server once (default 3)")
    parser.add_argument("--minutes", type=float, help="stop after so many; the next call goes on")
    parser.add_argument("--only", action="append", help="these servers, into no file: for trying things out")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--tables", action="store_true", help="measure nothing, only write the tables again")
    options = parser.parse_args(arguments)
    if options.tables:
        report.write()
        return 0
    chosen = [server for server in SERVERS if not options.only or server.name in options.only]
    partial = CACHE / "cells.json"
    partial.parent.mkdir(parents=True, exist_ok=True)
    known = (
        json.loads(partial.read_text()) if partial.exists() and not (options.again or options.only) else []
    )
    end = time.monotonic() + options.minutes * 60 if options.minutes else float("inf")
    rows, answers = prepare(CACHE / "models")
    programs = {server.name: install(server, CACHE) for server in chosen}
    for number, server, model in _missing(chosen, options.rounds, known):
        if time.monotonic() > end:
            print("stopped; the next call goes on here")
            return 0
        begun = time.monotonic()
        cell = measure(
            server, programs[server.name], CACHE / "models" / model, rows.tolist(), answers.get(model, []),
            Effort(),
        )  # fmt: skip
        known.append({"round": number} | cell)
        print(
            f"round {number}  {server.name:15} {model:10} {cell['closed']['rps']:8.0f} req/s, "
            f"p99 {cell['closed']['p99_ms']:5.0f} ms; highest rate {cell['highest_rate']:8.0f} "
            f"({time.monotonic() - begun:.0f} s)",
            flush=True,
        )
        if not options.only:
            partial.write_text(json.dumps(known))
    if options.only:
        return 0
    results = {"machine": report.machine(), "cpus": CPUS, "connections": CONNECTIONS, "cells": known}
    report.RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    report.write()
    partial.unlink()
    return 0


def _missing(
    servers: list[Server], rounds: int, known: list[dict[str, Any]]
) -> list[tuple[int, Server, str]]:
    """(round, server, model) of every cell that is still to be measured, round by round."""
    done = {(cell["round"], cell["server"], cell["model"]) for cell in known}
    cells = [
        (number, server, model)
        for number in range(rounds)
        for model in ("forest", "regression", "none")
        for server in servers
        if model in server.models
    ]
    return [cell for cell in cells if (cell[0], cell[1].name, cell[2]) not in done]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
