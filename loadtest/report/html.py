"""report.html: one file that opens offline and prints, from the template beside this module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loadtest.experiment.role import ROLES
from loadtest.judge.mismatches import changed
from loadtest.judge.run import Run
from loadtest.judge.slices import Slice
from loadtest.judge.verdict import Verdict
from loadtest.report import charts
from loadtest.report.templating import templates

_MOST_CHANGED = 100


def to_html(verdict: Verdict, run: Run, slices: Sequence[Slice], facts: dict[str, Any]) -> str:
    """The whole report of a run as one HTML document; ``facts`` is the content of environment.json."""
    experiment, evidence = run.experiment, run.evidence
    page = templates().get_template("report.html.j2")
    return page.render(
        verdict=verdict,
        versions=experiment.versions,
        experiment=experiment.to_toml(),
        changed=[(role, each) for role in ROLES for each in changed(evidence.of(role), _MOST_CHANGED)],
        objective_ms=1000 * experiment.objective.latency,
        facts=facts,
        figures=charts.figures(evidence, experiment.objective.latency, run.alpha),
        gate_strip=charts.gate_strip,
        slices=list(zip(slices, charts.slice_strips(slices), strict=True)),
        quality="absolute error" if experiment.data.task == "regression" else "accuracy",
    )
