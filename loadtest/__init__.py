"""Loadproof: load tests that say whether a new version of a model may go live.

``from loadtest import open_run, judge_run``: what a notebook needs of stored runs; see docs/stored-runs.md.
Names are loaded when they are asked for: a rollback must not wait for the libraries of the judge.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loadtest.errors import LoadproofError, UsageError
    from loadtest.experiment.experiment import Experiment
    from loadtest.experiment.gate import Gate
    from loadtest.experiment.role import Role
    from loadtest.judge.diff import diff_runs
    from loadtest.judge.run import Run
    from loadtest.judge.slices import by_slice
    from loadtest.judge.verdict import Verdict
    from loadtest.report.terminal import gate_table, version_table
    from loadtest.workflows.stored_run import judge_run, open_run

__all__ = [
    "Experiment",
    "Gate",
    "LoadproofError",
    "Role",
    "Run",
    "UsageError",
    "Verdict",
    "by_slice",
    "diff_runs",
    "gate_table",
    "judge_run",
    "open_run",
    "version_table",
]
__version__ = "0.1.0"

_HOMES = {
    "errors": ("LoadproofError", "UsageError"),
    "experiment.experiment": ("Experiment",),
    "experiment.gate": ("Gate",),
    "experiment.role": ("Role",),
    "judge.diff": ("diff_runs",),
    "judge.run": ("Run",),
    "judge.slices": ("by_slice",),
    "judge.verdict": ("Verdict",),
    "report.terminal": ("gate_table", "version_table"),
    "workflows.stored_run": ("judge_run", "open_run"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
