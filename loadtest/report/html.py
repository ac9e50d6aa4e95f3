"""report.html: one file that opens offline and prints, from the template beside this module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES
from loadtest.judge.mismatches import changed
from loadtest.judge.paired_outcomes import Evidence
from loadtest.judge.slices import Slice
from loadtest.judge.verdict import Verdict
from loadtest.report import charts
from loadtest.report.templating import templates

_MOST_CHANGED = 100


def to_html(
    verdict: Verdict,
    experiment: Experiment,
    evidence: Evidence,
    slices: Sequence[Slice],
    facts: dict[str, Any],
) -> str:
    """The whole report of a run as one HTML document.

    Args:
        verdict: the verdict.
        experiment: the resolved experiment, shown to repeat the run.
        evidence: both versions' outcomes, for the charts.
        slices: quality by slice.
        facts: the content of environment.json.
    """
    both = zip(ROLES, (evidence.stable, evidence.candidate), strict=True)
    return (
        templates()
        .get_template("report.html.j2")
        .render(
            verdict=verdict,
            versions=experiment.versions,
            experiment=experiment.to_toml(),
            changed=[(role, each) for role, outcomes in both for each in changed(outcomes, _MOST_CHANGED)],
            objective_ms=1000 * experiment.objective.latency,
            facts=facts,
            figures=charts.figures(evidence, experiment.objective.latency, 1 - experiment.confidence),
            gate_strip=charts.gate_strip,
            slices=list(zip(slices, charts.slice_strips(slices), strict=True)),
            quality="absolute error" if experiment.data.task == "regression" else "accuracy",
        )
    )
