"""Measure, print: ``python -m benchmarks.canary [--backend local] [--rollbacks 100] [--rate 200]``.

The versions run without a CPU limit: what is measured is the gateway and the command.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.canary.steady import Record
from loadtest.config import Experiment, Fault
from loadtest.flows.versions import resolve, train_if_absent
from loadtest.lab.author import sign
from loadtest.lab.choose import choose_lab
from loadtest.lab.ports import Lab
from loadtest.lab.running import claim

BEFORE, AFTER = 3.0, 8.0
FAULTS = (
    Fault(kind="killed"),
    Fault(kind="paused"),
    Fault(kind="failing", share=0.5),
    Fault(kind="slowed", delay=3.0),
)


class Load:
    """Steady users in a process of their own."""

    def __init__(self, lab: Lab, model: str, rate: float, seconds: float) -> None:
        arguments = [lab.endpoints.gateway, model, str(rate), str(seconds)]
        command = [sys.executable, "-m", "benchmarks.canary.steady", *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        time.sleep(1.0)

    def records(self) -> list[Record]:
        """What came of each request, once all are done."""
        out, _ = self._process.communicate()
        return [tuple(record) for record in json.loads(out)]


def split(lab: Lab, percent: float) -> None:
    """Set the split, as a person would."""
    lab.canary.update(lambda state: state.set(percent, sign("a benchmark")))


def rollbacks(lab: Lab, model: str, rate: float, times: int) -> None:
    """Roll back again and again under load, from a split of 50%."""
    load = Load(lab, model, rate, times * 0.55 + 3)
    moments = []
    for _ in range(times):
        split(lab, 50)
        time.sleep(0.2)
        commanded = time.monotonic()
        lab.canary.update(lambda state: state.rollback(sign("a benchmark")))
        moments.append((commanded, time.monotonic()))
        time.sleep(0.2)
    records = load.records()
    last_due, last_done = [], []
    for commanded, _ in moments:
        until = commanded + 0.2
        mine = [
            r for r in records if r[3] == "candidate" and commanded - 0.2 < r[0] and commanded < r[1] < until
        ]
        last_due.append(max((r[0] - commanded for r in mine), default=0.0))
        last_done.append(max((r[1] - commanded for r in mine), default=0.0))
    failed = sum(r[2] != 200 for r in records)
    asked = sum(r[3] == "candidate" for r in records)
    print(f"{times} rollbacks at {rate:g} requests/s, {asked} of {len(records)} answered by the candidate")
    show("  command until the gateway confirms", [done - commanded for commanded, done in moments])
    show("  command until the last request to the candidate was sent", last_due)
    show("  command until the last answer of the candidate", last_done)
    print(f"  failed requests: {failed}")


def commands(folder: Path, lab: Lab, model: str, rate: float, times: int = 20) -> None:
    """The command as a person types it, its start included, beside what Python alone takes to start."""
    load = Load(lab, model, rate, times * 1.2 + 3)
    program = str(Path(sys.executable).parent / "loadproof")
    moments, alone = [], []
    for _ in range(times):
        split(lab, 50)
        time.sleep(0.2)
        began = time.monotonic()
        command = [program, "canary", "rollback", "--lab", str(folder)]
        subprocess.run(command, check=True, capture_output=True)
        moments.append((began, time.monotonic()))
        time.sleep(0.1)
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        alone.append(time.monotonic() - began)
    records = [r for r in load.records() if r[3] == "candidate"]
    last = [
        max((r[1] for r in records if began - 0.2 < r[0] < done), default=began) - began
        for began, done in moments
    ]
    print(f"{times} times `loadproof canary rollback`, each a new process")
    show("  command until the last answer of the candidate", last)
    show("  command until it ends", [done - began for began, done in moments])
    show("  beside it: python -c pass", alone)


def fault(lab: Lab, model: str, rate: float, fault: Fault) -> None:
    """What users notice of a fault at a split of 10%, with nobody to roll back."""
    split(lab, 10)
    load = Load(lab, model, rate, BEFORE + AFTER)
    time.sleep(BEFORE)
    began = time.monotonic()
    lab.inject("candidate", fault)
    records = load.records()
    lab.heal("candidate")
    time.sleep(11)  # until the gateway lets the candidate back in
    in_flight = sum(r[0] < began < r[1] and r[3] == "candidate" for r in records)
    after = [r for r in records if r[1] > began]
    failed = sum(r[2] != 200 for r in after)
    late = sum(r[1] - r[0] > 0.5 for r in after)
    worst = max(r[1] - r[0] for r in after)
    print(
        f"{fault.kind:8} {in_flight} in flight at it, {len(after)} requests after it: {failed} failed, "
        f"{late} took over 0.5 s, the longest {worst:.2f} s; {len(records) - len(after)} before it"
    )


def show(what: str, seconds: list[float]) -> None:
    """Median, 95th percentile and maximum, in milliseconds."""
    ordered = sorted(seconds)
    p95 = ordered[int(0.95 * (len(ordered) - 1))]
    print(
        f"{what}: median {statistics.median(ordered) * 1000:.1f}, p95 {p95 * 1000:.1f}, "
        f"max {ordered[-1] * 1000:.1f} ms"
    )


def main() -> None:
    """Open one lab and measure."""
    parser = argparse.ArgumentParser(prog="benchmarks.canary", description=__doc__)
    parser.add_argument("--backend", default="local")
    parser.add_argument("--rollbacks", type=int, default=100)
    parser.add_argument("--rate", type=float, default=200.0)
    options = parser.parse_args()
    experiment = Experiment.load_file("compare", {"limits": {"cpus": 0}})
    train_if_absent(experiment, print)
    model = experiment.model.name
    with tempfile.TemporaryDirectory() as name, claim(Path(name)) as claimed:
        folder = Path(name)
        open_lab = choose_lab(options.backend, experiment, print, state=folder, percent=10, allow_faults=True)
        with open_lab(resolve(experiment)) as lab:
            claimed.announce(lab)
            print(f"backend {lab.backend}")
            rollbacks(lab, model, options.rate, options.rollbacks)
            commands(folder, lab, model, options.rate)
            for one in FAULTS:
                fault(lab, model, options.rate, one)


if __name__ == "__main__":
    main()
