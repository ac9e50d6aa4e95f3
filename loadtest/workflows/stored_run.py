"""Judging a stored run: the verdict, and every file that a verdict becomes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from loadtest.data.dataset import Dataset
from loadtest.data.run_folder import ENVIRONMENT, EXPERIMENT, LOAD, SAMPLES, VERDICT, find_run, write_file
from loadtest.data.samples import SampleSet
from loadtest.errors import UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.judge.judge import judge_evidence
from loadtest.judge.paired_outcomes import Evidence
from loadtest.judge.run_facts import RunFacts
from loadtest.judge.slices import by_slice
from loadtest.judge.verdict import Verdict
from loadtest.report.html import to_html
from loadtest.report.machine_formats import to_json, to_junit, to_markdown


class StoredRun(NamedTuple):
    """A stored run, read and laid out for comparison."""

    folder: Path
    experiment: Experiment
    dataset: Dataset
    evidence: Evidence
    run_facts: RunFacts
    facts: dict[str, Any]


def read_run(run: Path, gates: Sequence[str] = ()) -> StoredRun:
    """Read a run folder; ``gates`` replace the experiment's own.

    Raises:
        UsageError: it is no run folder, or its evaluation set is gone.
        GateError: a gate does not parse.
    """
    folder = find_run(run)
    experiment = Experiment.load_file(str(folder / EXPERIMENT), gates=gates)
    facts = _read_json(folder / ENVIRONMENT) if (folder / ENVIRONMENT).exists() else {}
    run_facts = RunFacts.model_validate(
        {
            "backend": facts.get("backend", "local"),
            "load": _read_json(folder / LOAD),
            "versions": facts.get("server_facts", {}),
        }
    )
    dataset = Dataset.read(experiment.data)
    evidence = Evidence.gather(experiment, SampleSet.read(folder / SAMPLES), dataset, run_facts.load)
    return StoredRun(folder, experiment, dataset, evidence, run_facts, facts)


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
    folder, experiment, dataset, evidence, run_facts, facts = read_run(run, gates)
    verdict = judge_evidence(experiment, evidence, dataset, run_facts)
    if write:
        write_file(folder, VERDICT, to_json(verdict))
        write_file(folder, "junit.xml", to_junit(verdict))
        write_file(folder, "summary.md", to_markdown(verdict, experiment))
        slices = by_slice(experiment, evidence, dataset, run_facts)
        write_file(folder, "report.html", to_html(verdict, experiment, evidence, slices, facts))
    return verdict


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not readable ({error}); the run folder is damaged") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path}: not a JSON object; the run folder is damaged")
    return content
