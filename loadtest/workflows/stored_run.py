"""Stored runs: read, judged, held side by side, and every file that a verdict becomes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtest.data.dataset import Dataset
from loadtest.data.run_folder import ENVIRONMENT, EXPERIMENT, LOAD, SAMPLES, VERDICT, find_run, write_file
from loadtest.data.samples import SampleSet
from loadtest.errors import UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.judge.diff import compare_runs
from loadtest.judge.diff_lines import Changes
from loadtest.judge.judge import judge
from loadtest.judge.run import Run, RunFacts
from loadtest.judge.verdict import Verdict
from loadtest.report.html import to_html
from loadtest.report.machine_formats import to_json, to_junit, to_markdown


def read_run(run: Path, gates: Sequence[str] = ()) -> Run:
    """Read a run folder; ``gates`` replace the experiment's own.

    Raises:
        UsageError: it is no run folder, or its evaluation set is gone.
        GateError: a gate does not parse.
        DatasetError: the samples do not belong to the evaluation set.
    """
    folder = find_run(run)
    experiment = Experiment.load_file(str(folder / EXPERIMENT), gates=gates)
    environment = read_environment(folder)
    facts = RunFacts.model_validate(
        {
            "backend": environment.get("backend", "local"),
            "load": _read_json(folder / LOAD),
            "versions": environment.get("server_facts", {}),
        }
    )
    samples = SampleSet.read(folder / SAMPLES)
    _check_digest(folder, samples)
    return Run.gather(experiment, Dataset.read(experiment.data), samples, facts)


def _check_digest(folder: Path, samples: SampleSet) -> None:
    """Refuse other samples than those that the verdict beside them was computed from."""
    try:
        judged = json.loads((folder / VERDICT).read_text(encoding="utf-8")).get("samples_sha256")
    except (OSError, ValueError, AttributeError):
        return  # none, or a damaged one, which judging again replaces
    if judged not in (None, samples.digest):
        raise UsageError(
            f"{folder / SAMPLES}: not the samples that {VERDICT} was computed from; take them from a copy of "
            f"the run, or remove {VERDICT} to judge these"
        )


def read_environment(folder: Path) -> dict[str, Any]:
    """What is known of the machine and the lab; empty where nothing was written.

    Raises:
        UsageError: the file is damaged.
    """
    return _read_json(folder / ENVIRONMENT) if (folder / ENVIRONMENT).exists() else {}


def judge_run(run: Path, gates: Sequence[str] = (), *, write: bool = False) -> Verdict:
    """Compute the verdict of a stored run from its samples.

    Args:
        run: a run folder, or one that is being made.
        gates: other gates than the experiment's; empty: the experiment's own.
        write: also write verdict.json, junit.xml, summary.md and report.html into the folder.

    Raises:
        UsageError: it is no run folder, or its evaluation set is gone.
        GateError: a gate does not parse.
    """
    stored = read_run(run, gates)
    verdict = judge(stored)
    if write:
        write_reports(find_run(run), stored, verdict)
    return verdict


def write_reports(folder: Path, run: Run, verdict: Verdict) -> None:
    """Write verdict.json, junit.xml, summary.md and report.html of one run."""
    write_file(folder, VERDICT, to_json(verdict))
    write_file(folder, "junit.xml", to_junit(verdict))
    write_file(folder, "summary.md", to_markdown(verdict, run.experiment))
    write_file(folder, "report.html", to_html(verdict, run, read_environment(folder)))


def diff_runs(before: Path, after: Path) -> Changes:
    """What changed from one stored run to another.

    Raises:
        UsageError: one of them is no run folder, or its evaluation set is gone.
    """
    return compare_runs(read_run(before), read_run(after))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not readable ({error}); the run folder is damaged") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path}: not a JSON object; the run folder is damaged")
    return content
