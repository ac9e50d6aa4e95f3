"""Comparing two stored runs."""

from __future__ import annotations

from pathlib import Path

from loadtest.judge.diff import Run, compare_runs
from loadtest.judge.diff_lines import Changes
from loadtest.workflows.stored_run import read_run


def diff_runs(before: Path, after: Path) -> Changes:
    """What changed from one stored run to another.

    Raises:
        UsageError: one of them is no run folder, or its evaluation set is gone.
    """
    sides = []
    for folder in (before, after):
        stored = read_run(folder)
        sides.append(Run(stored.experiment, stored.dataset, stored.evidence, stored.run_facts))
    return compare_runs(*sides)
