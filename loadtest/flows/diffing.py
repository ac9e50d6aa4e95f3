"""Comparing two stored runs."""

from __future__ import annotations

from pathlib import Path

from loadtest.flows.judging import read_run
from loadtest.judge.change import Changes
from loadtest.judge.changes import Run, compare_runs


def diff_runs(before: Path, after: Path) -> Changes:
    """What changed from one stored run to another.

    Raises:
        UsageError: one of them is no run folder, or its evaluation set is gone.
    """
    sides = []
    for folder in (before, after):
        stored = read_run(folder)
        sides.append(Run(stored.experiment, stored.dataset, stored.evidence, stored.observations))
    return compare_runs(*sides)
