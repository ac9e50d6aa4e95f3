"""``python -m benchmarks.killed --backend local --times 20``: ``kill -9`` at random moments of a comparison.

The command, its load generator and one of two workers are killed in turn, at moments that are uniform over
the load, and ``--before`` times between the start of the command and its load. Then the next command judges
what is there. Exit 1 where more is missing than the bar allows, anything is left running, or the next command
ends with a traceback.
"""

from __future__ import annotations

import argparse
import bisect
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import tomli_w

from benchmarks.killed.running import LONGEST, Killable, Reading
from loadtest.data.cut_off_run import is_cut_off
from loadtest.data.run_folder import LOAD, SAMPLES, STREAM, VERDICT, holds_samples
from loadtest.data.sample_stream import StoredStream
from loadtest.data.samples import SampleSet
from loadtest.experiment.experiment import EXPERIMENTS, Experiment

WHO = ("command", "generator", "worker")
MOST_MISSING = 1.0
"""Seconds of samples, of those that the servers had answered."""
READ = 0.15
"""Seconds between two readings of the servers' counters, and what a request needs to come back from them."""
RATE, SECONDS = 40.0, 10.0
_JUDGED = (0, 1, 3, 4)


class Killed(NamedTuple):
    """One kill.

    Args:
        who: was killed.
        after: seconds since the command began.
        within: seconds of the load when it was killed; None: it was not there, or no longer.
        answered: requests of the load that the servers had answered by then; None: it had not begun.
        recorded: of those that are in the run folder.
        missing: seconds before the kill from which on answers are missing.
        verdict: of the next command, or what it said instead.
        wrong: what should not be; empty: nothing.
    """

    who: str
    after: float
    within: float | None
    answered: int | None
    recorded: int
    missing: float
    verdict: str
    wrong: list[str]


def experiment_file(place: Path, seconds: float) -> Path:
    """A short comparison of the demo's versions, without CPU limits: how fast they are does not matter."""
    raw = Experiment.load_file(str(EXPERIMENTS / "compare.toml")).model_dump(mode="json", exclude_none=True)
    raw["load"] |= {"rate": RATE, "duration": seconds, "warmup": 0.0, "baseline": 0.0, "workers": 2}
    raw["limits"] = {"cpus": 1.0, "memory": "512m"}
    raw["gates"] = ["error_rate <= stable + 50pp", "accuracy >= stable - 50pp"]
    path = place / "killed.toml"
    path.write_text(tomli_w.dumps(raw), encoding="utf-8")
    return path


def kill_once(
    place: Path, backend: str, options: list[str], who: str, moment: float, *, within: bool = True
) -> Killed:
    """Kill one process of a comparison, and see what the next command makes of it.

    Args:
        place: folder for all that the comparison writes.
        backend: ``local`` or ``compose``.
        options: of ``loadproof compare``.
        who: one of ``WHO``.
        moment: seconds since the command began.
        within: since its load did, instead.
    """
    with Killable(place, backend, options) as run:
        begin = run.wait_for_load() if within else run.began
        time.sleep(max(0.0, begin + moment - time.time()))
        done = run.process.poll() is not None
        while not (done or run.kill(who)):  # a generator that is not there yet, or no longer
            time.sleep(0.02)
            done = run.process.poll() is not None
        killed = time.time()
        if who != "worker":
            run.stop_reading()
        code = run.process.wait(LONGEST)
        run.stop_reading()
        folders = [one for one in run.results.glob("*") if one.is_dir() and not one.is_symlink()]
        folders = folders or list(run.results.glob(".*.partial"))
        wrong = [] if len(folders) <= 1 else [f"{len(folders)} run folders"]
        measured = bool(folders) and holds_samples(folders[0])
        command = ("judge", str(folders[0]), "--write") if measured else ("runs", str(run.results))
        after_it = run.next_command(*command)
        text = after_it.stdout + after_it.stderr
        began, recorded = recorded_in(folders[0]) if measured else (None, 0)
        answered, missing = None, 0.0
        if began is not None and not done:
            until = killed if who != "worker" else time.time()
            answered, missing = missing_seconds(run.readings, began, until, recorded)
            if who == "worker":  # of two that send as much
                missing = max((answered or 0) - recorded, 0) / RATE
        if "Traceback" in text + run.said():
            wrong.append("a traceback")
        if measured and after_it.returncode not in _JUDGED:
            wrong.append(
                f"the next command ended with {after_it.returncode}: {' '.join(text.split())[-160:]}"
            )
        verdict = read_verdict(folders[0]) if measured else f"nothing was measured ({code})"
        deadline = time.time() + 10
        while (left := run.left()) and time.time() < deadline:
            time.sleep(0.2)
        if missing > MOST_MISSING + READ:
            wrong.append(f"{missing:.2f} s of samples are missing")
        # a generator that outlives its command for a moment may still leave what it measured
        leftover = [path.name for path in run.results.glob(".*") if not (measured or holds_samples(path))]
        into = None if not answered or began is None or killed < began else killed - began
        wrong += [*left, *leftover]
        return Killed(who, killed - run.began, into, answered, recorded, missing, verdict, wrong)


def recorded_in(folder: Path) -> tuple[float | None, int]:
    """When the load of a run began, in seconds since 1970, and how many samples are there."""
    if is_cut_off(folder):
        stored = StoredStream.read(folder / STREAM)
        load = stored.facts.get("load") or {}
        return load.get("began_at"), sum(map(len, stored.samples()))
    load = json.loads((folder / LOAD).read_text(encoding="utf-8"))
    return load.get("began_at"), len(SampleSet.read(folder / SAMPLES))


def missing_seconds(
    readings: list[Reading], began: float, killed: float, recorded: int
) -> tuple[int | None, float]:
    """How many requests the servers had answered when one was killed, and how long before they had answered
    no more than are recorded.

    Args:
        readings: of both servers' counters, in order of time.
        began: the load's time zero, seconds since 1970.
        killed: seconds since 1970.
        recorded: samples.
    """
    before = [one for one in readings if one.at <= killed]
    first = bisect.bisect_right([one.at for one in before], began) - 1
    if first < 0:
        return None, 0.0
    load = [Reading(one.at, one.answered - before[first].answered) for one in before[first:]]
    known = [one.at for one in load if one.answered <= recorded]
    return load[-1].answered, load[-1].at - known[-1]


def read_verdict(folder: Path) -> str:
    """The word and the reason."""
    try:
        verdict = json.loads((folder / VERDICT).read_text(encoding="utf-8"))
    except OSError:
        return "no verdict"
    return f"{verdict['verdict']}: {verdict['reason']}"


def main(arguments: list[str]) -> int:
    """Kill, say what it cost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.killed", description=__doc__)
    parser.add_argument("--backend", choices=("local", "compose"), default="local")
    parser.add_argument("--times", type=int, default=20, help="how many kills (default 20)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--before", type=int, default=0, help="how many more before the load (default 0)")
    parser.add_argument("--usual", type=float, default=8.0, help="seconds from the command to its load")
    options = parser.parse_args(arguments)
    lots = random.Random(options.seed)  # noqa: S311 - moments, no secrets
    all_killed = []
    with tempfile.TemporaryDirectory(prefix="loadproof-bench-") as place:
        given = ["--experiment", str(experiment_file(Path(place), SECONDS))]
        for number in range(options.times + options.before):
            within, who = number < options.times, WHO[number % len(WHO)]
            moment = lots.uniform(0.0, SECONDS if within else options.usual)
            folder = Path(place, str(number))
            killed = kill_once(folder, options.backend, given, who, moment, within=within)
            all_killed.append(killed)
            at = "" if killed.within is None else f", {killed.within:4.1f} s into the load"
            print(
                f"{killed.who:9} after {killed.after:5.1f} s{at}: {killed.recorded:4} of "
                f"{killed.answered or 0:4} recorded, {killed.missing:.2f} s missing; {killed.verdict[:90]}"
                + "".join(f"\n    WRONG: {one}" for one in killed.wrong),
                flush=True,
            )
    worst = max(killed.missing for killed in all_killed)
    bad = sum(bool(killed.wrong) for killed in all_killed)
    measured = sum(killed.within is not None for killed in all_killed)
    print(
        f"{len(all_killed)} kills on {options.backend}, {measured} within the load: at most "
        f"{worst:.2f} s of samples missing; {bad} left or lost anything else"
    )
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
