"""``python -m benchmarks.load.control_cost``: what a control takes from the machine.

The same version as stable and as candidate on the local lab, in turn without a control and with one. Printed
as a table of Markdown: CPU time of the whole lab, memory of its versions, and latency of the two compared.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.load.report import cpu_model
from loadtest.data.run_folder import VERDICT
from loadtest.errors import ExitCode
from loadtest.experiment.role import Role
from loadtest.judge.verdict import Word


class Cost(NamedTuple):
    """One run: CPU seconds of the command and of all that it started, and its verdict.json."""

    cpu_s: float
    verdict: dict[str, Any]

    def row(self, name: str) -> str:
        """A row of the table."""
        versions = self.verdict["versions"]
        memory = sum(one["memory_bytes"] or 0 for one in versions.values()) / 2**20
        latency = (
            f"{versions[role]['latency_ms'][q]:.1f} ms"
            for role in (Role.STABLE, Role.CANDIDATE)
            for q in ("p50", "p99")
        )
        cells = (name, f"{self.cpu_s:.0f} s", f"{memory:.0f} MiB", *latency, self.verdict["verdict"])
        return f"| {' | '.join(cells)} |"


def measure(duration: int, rate: float, options: list[str]) -> Cost:
    """Run the load once.

    Args:
        duration: seconds of load.
        rate: arrivals a second.
        options: more of ``loadproof compare``.

    Raises:
        RuntimeError: the lab broke; carries what the command said.
    """
    with tempfile.TemporaryDirectory(prefix="loadproof-cost-") as results:
        command = [sys.executable, "-m", "loadtest", "compare", "--backend", "local", "--results", results]
        load = ["--stable", "v1", "--candidate", "v1", "--duration", f"{duration}s", "--rate", f"{rate:g}"]
        before = _children()
        done = subprocess.run([*command, *load, *options], capture_output=True, text=True, check=False)
        if done.returncode not in [ExitCode[word.name] for word in Word]:
            raise RuntimeError(done.stdout + done.stderr)
        verdict = json.loads(Path(results, "latest", VERDICT).read_text(encoding="utf-8"))
        return Cost(_children() - before, verdict)


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.control_cost", description=__doc__)
    parser.add_argument("--times", type=int, default=2, help="runs of each kind (2)")
    parser.add_argument("--duration", type=int, default=30, help="seconds of load (30)")
    parser.add_argument("--rate", type=float, default=50, help="arrivals a second (50)")
    asked = parser.parse_args(arguments)
    print(f"{cpu_model()}, {os.cpu_count()} cores; {asked.rate:g} arrivals a second for {asked.duration} s\n")
    print("| | CPU time | memory of the versions | stable p50 | p99 | candidate p50 | p99 | verdict |")
    print("|---|---|---|---|---|---|---|---|")
    for _ in range(asked.times):
        for name, options in (("without", []), ("with a control", ["--control"])):
            print(measure(asked.duration, asked.rate, options).row(name), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
