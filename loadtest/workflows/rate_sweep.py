"""A stored run at several rates: how accuracy, mismatches and goodput depend on the load.

The run folder holds a whole run folder for each rate (``rate-20``), which ``open_run`` reads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from loadtest.data.run_folder import EXPERIMENT, RATES, write_file
from loadtest.judge.rate_sweep import RatesVerdict, judge_rates
from loadtest.judge.run import Run
from loadtest.report.machine_formats import rates_to_junit
from loadtest.report.rates import rates_to_html, rates_to_markdown
from loadtest.workflows.stored_run import open_run, read_environment, write_reports


def holds_rates(run: Path) -> bool:
    """Whether a run folder holds one run a rate."""
    return any(run.glob("rate-*/" + EXPERIMENT))


def judge_rates_run(run: Path, gates: Sequence[str] = (), *, write: bool = False) -> RatesVerdict:
    """Compute the verdict of a stored run at several rates again; ``write`` its reports into the folder too.

    Raises:
        UsageError: a part of it is damaged, or its evaluation set is gone.
        GateError: a gate does not parse.
    """
    folder = Path(os.path.realpath(run))
    opened = ((part, open_run(part)) for part in folder.glob("rate-*"))
    stored = {part: one.under(gates) if gates else one for part, one in opened}
    parts = dict(sorted(stored.items(), key=lambda each: each[1].experiment.load.rate))
    verdict = judge_rates(list(parts.values()))
    if write:
        write_rates_reports(folder, parts, verdict)
    return verdict


def write_rates_reports(folder: Path, parts: Mapping[Path, Run], verdict: RatesVerdict) -> None:
    """Write the reports of every rate, by ascending rate, and those of all together."""
    for (part, run), at in zip(parts.items(), verdict.rates, strict=True):
        write_reports(part, run, at.verdict)
    lowest, experiment = next(iter(parts)), next(iter(parts.values())).experiment
    write_file(folder, RATES, verdict.model_dump_json(by_alias=True, indent=2) + "\n")
    write_file(folder, "junit.xml", rates_to_junit(verdict))
    write_file(folder, "summary.md", rates_to_markdown(verdict, experiment.versions))
    write_file(folder, "report.html", rates_to_html(verdict, experiment, read_environment(lowest)))
