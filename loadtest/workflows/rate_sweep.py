"""The same load at several rates on one lab: how accuracy, mismatches and goodput depend on the load."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from loadtest.data.dataset import Dataset
from loadtest.data.run_folder import EXPERIMENT, RATES, RunFolder, write_file
from loadtest.errors import ExperimentError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.judge.gate_checks import check_gates
from loadtest.judge.rate_sweep import RatesVerdict, judge_rates
from loadtest.lab.interface import Lab, Version
from loadtest.report.machine_formats import rates_to_junit
from loadtest.report.rates import rates_to_html, rates_to_markdown
from loadtest.workflows.deployment import measure_on
from loadtest.workflows.load_follower import Progress
from loadtest.workflows.stored_run import read_environment, read_run, write_reports


class RatesOutcome(NamedTuple):
    """A finished run at several rates: its verdict and the folder that holds everything."""

    verdict: RatesVerdict
    folder: Path


def compare_at_rates(
    experiment: Experiment,
    open_lab: Callable[[tuple[Version, Version]], Lab],
    versions: tuple[Version, Version],
    results: Path,
    progress: Progress,
) -> RatesOutcome:
    """Run an experiment at each of its ``load.rates``, lowest first, on one lab, and judge them together.

    The run folder holds a whole run folder for each rate (``rate-20``), which ``loadproof judge`` reads.

    Raises:
        UsageError: the evaluation set, a gate or the results folder cannot be used; nothing was started.
        LabError: the lab did not start or broke; samples measured until then are kept.
    """
    if experiment.load.restarts > 1:
        raise ExperimentError("rates and restarts do not go together; leave one of them out")
    dataset = Dataset.read(experiment.data)
    check_gates(experiment, dataset)
    with RunFolder(results, experiment.name) as folder:
        resolved = experiment.with_absolute_data()
        folder.write(EXPERIMENT, resolved.to_toml())
        with open_lab(versions) as lab:
            progress.step(f"lab is up ({lab.backend}): gateway {lab.endpoints.gateway}")
            for rate in experiment.load.rates:
                progress.step(f"{rate:g} arrivals a second")
                part = folder.path / f"rate-{rate:g}"
                part.mkdir()
                single = resolved.at_rate(rate)
                write_file(part, EXPERIMENT, single.to_toml())
                measure_on(lab, single, part, dataset, progress)
            progress.step("stopping the lab")
        progress.step("judging")
        verdict = judge_rates_run(folder.path, write=True)
        return RatesOutcome(verdict, folder.publish())


def holds_rates(run: Path) -> bool:
    """Whether a run folder holds one run a rate."""
    return any(run.glob("rate-*/" + EXPERIMENT))


def judge_rates_run(run: Path, gates: Sequence[str] = (), *, write: bool = False) -> RatesVerdict:
    """Compute the verdict of a stored run at several rates again; see ``judge_run``.

    Raises:
        UsageError: a part of it is damaged, or its evaluation set is gone.
        GateError: a gate does not parse.
    """
    folder = run.resolve()
    stored = sorted(
        ((part, read_run(part, gates)) for part in folder.glob("rate-*")),
        key=lambda each: each[1].experiment.load.rate,
    )
    if not stored:
        raise UsageError(f"{run}: holds no run at any rate")
    verdict = judge_rates([each for _, each in stored])
    if write:
        for (part, each), at in zip(stored, verdict.rates, strict=True):
            write_reports(part, each, at.verdict)
        lowest, experiment = stored[0][0], stored[0][1].experiment
        write_file(folder, RATES, verdict.model_dump_json(indent=2) + "\n")
        write_file(folder, "junit.xml", rates_to_junit(verdict))
        write_file(folder, "summary.md", rates_to_markdown(verdict, experiment.versions))
        write_file(folder, "report.html", rates_to_html(verdict, experiment, read_environment(lowest)))
    return verdict
