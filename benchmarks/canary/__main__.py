"""Measure, and write the tables: ``python -m benchmarks.canary [--only rollbacks] [--backend local]``.

The versions run without a CPU limit: what is measured is the gateway and the command.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import psutil

from benchmarks.canary import faults, half_sent, random_kills, report, rollbacks, shadowed
from loadtest.experiment.experiment import Experiment
from loadtest.lab.registry import claim
from loadtest.lab.select import choose_lab
from loadtest.workflows.prepare import resolve, train_if_absent

PARTS = ("rollbacks", "commands", "faults", "shadow", "half_sent", "random_kills")


def main() -> None:
    """Open one lab and measure."""
    parser = argparse.ArgumentParser(prog="benchmarks.canary", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="these parts; others stay as they are")
    parser.add_argument("--backend", default="local")
    parser.add_argument("--rollbacks", type=int, default=100)
    parser.add_argument(
        "--pairs", type=int, default=10, help="of blocks with and without a shadow, or a stranger"
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="of random kills")
    parser.add_argument(
        "--fallback", action="store_true", help="random kills with a candidate that answers for stable"
    )
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--dry", action="store_true", help="print, and write nothing")
    options = parser.parse_args()
    experiment = Experiment.load_file("compare", {"limits": {"cpus": 0}})
    train_if_absent(experiment, print)
    model, rate = experiment.model.name, options.rate
    results: dict[str, Any] = report.read() | {"machine": f"{psutil.cpu_count()} cores"}
    with tempfile.TemporaryDirectory() as name, claim(Path(name)) as claimed:
        folder = Path(name)
        open_lab = choose_lab(options.backend, experiment, print, state=folder, percent=10, allow_faults=True)
        with open_lab(resolve(experiment)) as lab:
            claimed.announce(lab)
            measures = {
                "rollbacks": lambda: rollbacks.measure(lab, model, rate, options.rollbacks),
                "commands": lambda: rollbacks.commands(folder, lab, model, rate, 20),
                "faults": lambda: faults.measure(lab, model, rate),
                "shadow": lambda: shadowed.measure(lab, model, rate, options.pairs),
                "half_sent": lambda: half_sent.measure(lab, model, rate, options.pairs),
                "random_kills": lambda: {
                    **results.get("random_kills", {}),
                    lab.backend + ", fallback" * options.fallback: random_kills.measure(
                        lab, folder, model, rate, options.minutes, fallback=options.fallback
                    ),
                },
            }
            for part in options.only or PARTS:
                results[part] = measures[part]()
                print(f"{part} ({lab.backend}): {json.dumps(results[part])}", flush=True)
    if not options.dry:
        report.keep(results)


if __name__ == "__main__":
    main()
