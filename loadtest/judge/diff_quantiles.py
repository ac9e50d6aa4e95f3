"""Latency beside what another load generator reports: quantiles, so no interval and no verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from contract.counted import counted
from loadtest.data.tool_results import QUANTILES, Series, ToolResults
from loadtest.experiment.role import ROLES
from loadtest.judge.run import Run
from loadtest.judge.verdict import Document

_QUANTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}


class QuantileChange(Document):
    """One quantile of one series, in milliseconds; ``change`` in % of what it was; None: not known."""

    before: str
    after: str
    quantile: str
    before_ms: float | None
    after_ms: float | None
    change: float | None


class QuantileChanges(Document):
    """What changed between two results of which one at least is another tool's (schema 1).

    ``conditions`` say what each side measured: two tools rarely measure the same.
    """

    schema_: Literal[1] = Field(default=1, alias="schema")
    conditions: tuple[str, ...]
    changes: tuple[QuantileChange, ...]


def results_of_run(run: Run) -> ToolResults:
    """Our own run as a tool's results: a series per version, without quantiles that the time-out hides."""
    series = []
    for role in ROLES:
        outcomes = run.evidence.of(role).requests
        latency = outcomes.latency
        known = {
            name: value
            for name, q in _QUANTILES.items()
            if len(latency) and (value := float(np.quantile(latency, q))) < run.experiment.load.timeout
        }
        series.append(Series(str(role), known, len(latency), int(outcomes.failed.sum())))
    return ToolResults("Loadproof", "from the intended send, so waiting to be sent counts", tuple(series))


def diff_quantiles(before: ToolResults, after: ToolResults) -> QuantileChanges:
    """Compare series of the same name; where none is common, the first of each, or each version with it."""
    found = []
    for one, other in _pairs(before, after):
        for name in QUANTILES:
            a, b = one.quantiles.get(name), other.quantiles.get(name)
            if a is None and b is None:
                continue
            found.append(
                QuantileChange(
                    before=one.name,
                    after=other.name,
                    quantile=name,
                    before_ms=None if a is None else 1000 * a,
                    after_ms=None if b is None else 1000 * b,
                    change=100 * (b / a - 1) if a and b is not None else None,
                )
            )
    return QuantileChanges(conditions=tuple(_conditions(before, after)), changes=tuple(found))


def _pairs(before: ToolResults, after: ToolResults) -> Sequence[tuple[Series, Series]]:
    named = {one.name: one for one in after.series}
    common = [(one, named[one.name]) for one in before.series if one.name in named]
    if common:
        return common
    if before.tool == "Loadproof":
        return [(one, after.series[0]) for one in before.series]
    if after.tool == "Loadproof":
        return [(before.series[0], other) for other in after.series]
    return [(before.series[0], after.series[0])]


def _conditions(before: ToolResults, after: ToolResults) -> list[str]:
    lines = []
    for when, results in (("before", before), ("after", after)):
        lines.append(f"{when}: {results.tool} measures {results.measured}")
        for one in results.series:
            if one.requests is not None:
                errors = "" if one.errors is None else f", {counted(one.errors, 'error')}"
                lines.append(f"{when}: {one.name}: {counted(one.requests, 'request')}{errors}")
    return [*lines, "quantiles alone have no interval: a difference may be chance, and no verdict is given"]
