"""report.html: one file that opens offline and prints, from the template beside this module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup

from loadtest.data.timings import PARTS
from loadtest.experiment.role import ROLES, Role
from loadtest.judge.mismatches import Changed, changed
from loadtest.judge.run import Run
from loadtest.judge.slices import Slice, by_slice
from loadtest.judge.traces import Traces
from loadtest.judge.verdict import Verdict
from loadtest.report import charts, quality_charts
from loadtest.report.sections import Sections
from loadtest.report.templating import templates

_MOST_CHANGED = 100
_QUALITY = {"classification": "accuracy", "regression": "absolute error", "ranking": "ndcg@10"}
_GATE_OF_A_SLICE = {
    "classification": "accuracy[] >= stable - 2pp",
    "regression": "mae[] <= stable + 5%",
    "ranking": "ndcg@10[] >= stable - 0.02",
}


def to_html(
    verdict: Verdict,
    run: Run,
    facts: dict[str, Any],
    slices: Callable[[Run], Sequence[Slice]] = by_slice,
) -> str:
    """The whole report of a run as one HTML document.

    What is only shown cannot lose what was judged: a section that fails is replaced by one line.

    ``facts`` are the content of environment.json.
    """
    experiment, evidence = run.experiment, run.evidence
    sections = Sections()
    nothing: Sequence[Any] = ()
    no_figures: list[list[charts.Figure]] = []

    def cut() -> Sequence[tuple[Slice, Markup]]:
        found = slices(run)
        return list(zip(found, charts.slice_strips(found), strict=True))

    def differing() -> Sequence[tuple[Role, Changed, str | None]]:
        found = [(role, each) for role in ROLES for each in changed(evidence.of(role), _MOST_CHANGED)]
        traces = Traces.of(experiment.load, run.facts.load, run.samples)
        names = traces.of_requests(c.request_id for _, c in found if c.request_id) if traces else {}
        return [(role, each, names.get(each.request_id or "")) for role, each in found]

    page = templates().get_template("report.html.j2")
    return page.render(
        verdict=verdict,
        versions=experiment.versions,
        experiment=experiment.to_toml(),
        changed=sections.make("Answers that changed under load", differing, nothing),
        objective_ms=1000 * experiment.objective.latency,
        facts=facts,
        figures=[
            *sections.make("Charts of answers", lambda: quality_charts.figures(run, sections), no_figures),
            charts.figures(evidence.requests, experiment.objective.latency, run.alpha, sections),
        ],
        gate_strip=charts.gate_strip,
        slices=sections.make("Quality by slice", cut, nothing),
        traced=any(slow.trace_id for version in verdict.versions.values() for slow in version.slowest),
        parts=[part for part in PARTS if any(part in v.timings for v in verdict.versions.values())],
        missing=sections.missing,
        quality=_QUALITY[experiment.data.task],
        quality_gate=_GATE_OF_A_SLICE[experiment.data.task],
    )
