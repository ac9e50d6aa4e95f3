"""report.html: one file that opens offline, from the template beside this module."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from loadtest.config import Experiment
from loadtest.judge.verdict import Verdict
from loadtest.report import words
from loadtest.report.templating import templates
from loadtest.sample import VERSIONS, SampleSet

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 760, 300, 56, 34


def to_html(verdict: Verdict, experiment: Experiment, samples: SampleSet, facts: dict[str, Any]) -> str:
    """The whole report of a run as one HTML document.

    Args:
        verdict: the verdict.
        experiment: the resolved experiment, shown to repeat the run.
        samples: the samples, for the charts.
        facts: the content of environment.json.
    """
    return (
        templates()
        .get_template("report.html.j2")
        .render(
            verdict=verdict,
            versions=experiment.versions,
            experiment=experiment.to_toml(),
            objective_ms=1000 * experiment.objective.latency,
            facts=facts,
            chart=Markup(_ecdf(samples)),  # noqa: S704 - numbers only
        )
    )


def _ecdf(samples: SampleSet) -> str:
    """The latency distributions as an SVG: share of answers within a latency, log axis, milliseconds."""
    latencies = {role: np.sort(samples.of(role).latency) * 1000 for role in VERSIONS}
    latencies = {role: np.maximum(values, 0.01) for role, values in latencies.items() if len(values)}
    if not latencies:
        return ""
    low = np.floor(np.log10(min(values[0] for values in latencies.values())))
    high = max(np.ceil(np.log10(max(values[-1] for values in latencies.values()))), low + 1)

    def x(ms: float) -> float:
        return float(_LEFT + (_WIDTH - _LEFT - 10) * (np.log10(ms) - low) / (high - low))

    def y(share: float) -> float:
        return (_HEIGHT - _BOTTOM) * (1 - share) + 8

    label = "Latency of both versions: share of answers within a latency in milliseconds, log axis"
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 12}" role="img" aria-label="{label}">']
    for decade in range(int(low), int(high) + 1):
        at = x(10.0**decade)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="8" y2="{y(0):.1f}"/>')
        anchor = "end" if decade == high else "middle"
        parts.append(
            f'<text x="{at:.1f}" y="{_HEIGHT - 4}" text-anchor="{anchor}">{10.0**decade:g} ms</text>'
        )
    for share in (0, 0.5, 0.9, 1):
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{y(share):.1f}" y2="{y(share):.1f}"/>'
        )
        parts.append(
            f'<text x="{_LEFT - 6}" y="{y(share) + 4:.1f}" text-anchor="end">{100 * share:.0f}%</text>'
        )
    shares = np.unique(np.concatenate([np.linspace(0, 0.9, 181), 1 - np.geomspace(0.1, 1e-4, 120), [1.0]]))
    for role, values in latencies.items():
        points = " ".join(
            f"{x(ms):.1f},{y(share):.1f}"
            for ms, share in zip(np.quantile(values, shares), shares, strict=True)
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{words.COLOURS[role]}" stroke-width="2"/>'
        )
    return "".join([*parts, "</svg>"])
