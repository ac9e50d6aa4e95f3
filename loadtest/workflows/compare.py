"""The main job: start both versions, put the load on them, judge, and write the run folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from loadtest.data.run_folder import EXPERIMENT, RunFolder, write_file
from loadtest.judge.rate_sweep import RatesVerdict, judge_rates
from loadtest.judge.run import Run
from loadtest.judge.verdict import Verdict
from loadtest.workflows.deployment import measure, measure_on, opened
from loadtest.workflows.load_follower import Progress
from loadtest.workflows.prepare import Ready
from loadtest.workflows.rate_sweep import write_rates_reports
from loadtest.workflows.restarts import measure_restarts
from loadtest.workflows.stored_run import gather_run, judge_run, write_reports


class Outcome(NamedTuple):
    """A finished run: its verdict (over all rates where there are several) and the folder that holds all."""

    verdict: Verdict | RatesVerdict
    folder: Path


def compare(ready: Ready, results: Path, progress: Progress) -> Outcome:
    """Run a checked experiment on a lab of its own, and judge it.

    Raises:
        UsageError: the results folder cannot be used; nothing was started.
        LabError: the lab did not start or broke; samples measured until then are kept.
    """
    experiment = ready.experiment
    with RunFolder(results, experiment.name) as folder:
        folder.write(EXPERIMENT, experiment.to_toml())
        verdict: Verdict | RatesVerdict
        if experiment.load.rates:
            verdict = _measure_rates(ready, folder.path, progress)
        else:
            (measure if experiment.load.restarts == 1 else measure_restarts)(ready, folder.path, progress)
            progress.step("judging")
            run = gather_run(folder.path, experiment, ready.dataset)
            verdict = judge_run(run)
            write_reports(folder.path, run, verdict)
        return Outcome(verdict, folder.publish(progress.step))


def _measure_rates(ready: Ready, folder: Path, progress: Progress) -> RatesVerdict:
    """Measure at each of ``load.rates``, lowest first, on one lab, and judge them together.

    Where the candidate dies under load the higher rates are not measured: it is a FAIL.

    Raises:
        LabError: the lab did not start or broke.
    """
    parts: list[tuple[Path, Run]] = []
    with opened(ready, progress) as lab:
        for rate in ready.experiment.load.rates:
            progress.step(f"{rate:g} arrivals per second")
            part, single = folder / f"rate-{rate:g}", ready.experiment.at_rate(rate)
            part.mkdir()
            write_file(part, EXPERIMENT, single.to_toml())
            died = measure_on(lab, single, part, ready.dataset, progress)
            parts.append((part, gather_run(part, single, ready.dataset)))
            if died:
                progress.step(f"{died}: no higher rate is measured")
                break
    progress.step("judging")
    verdict = judge_rates([run for _, run in parts])
    write_rates_reports(folder, dict(parts), verdict)
    return verdict
