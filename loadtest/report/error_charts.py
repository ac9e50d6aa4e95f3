"""The charts of a regression's answers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from loadtest.experiment.role import Role
from loadtest.judge.answered_rows import Numbers
from loadtest.report.binned_charts import TALL, draw_bins, drawn_rows, percent
from loadtest.report.charts import Figure
from loadtest.report.svg import Axis, Chart
from loadtest.stats import curves


def _number(value: float) -> str:
    return f"{value:.4g}"


def label_by_answer(numbers: Mapping[Role, Numbers], alpha: float, title: str = "Label and answer") -> Figure:
    """What the labels are on average where a version answers about the same: its calibration."""
    rows = drawn_rows([len(one.truth) for one in numbers.values()])
    found = {role: curves.answers_in_bins(*one, alpha) for role, one in numbers.items()}
    ends = np.concatenate([np.concatenate([b.predicted, b.low, b.high]) for b in found.values()])
    x = np.concatenate([b.predicted for b in found.values()])
    chart = Chart(
        f"{title}: mean label of both versions where they answer about the same",
        Axis.linear(float(x.min()), float(x.max()), "answer", _number),
        Axis.linear(float(ends.min()), float(ends.max()), "mean label", _number),
        height=TALL,
    )
    diagonal = [max(chart.x.low, chart.y.low), min(chart.x.high, chart.y.high)]
    chart.line(diagonal, diagonal, "limit")
    for role, one in found.items():
        draw_bins(chart, one, role, _number)
    return Figure(
        title,
        chart.render(),
        f"Ten bins of equally many rows by what was answered, of {rows}; uprights: Student's t "
        f"interval of the mean, {1 - alpha:.0%} on either side. Dotted: right on average.",
    )


def labels_up_to(
    numbers: Mapping[Role, Numbers], alpha: float, level: float | None, title: str = "Labels up to the answer"
) -> Figure:
    """Of a predicted quantile: how many labels are at most the answer, where answers are about the same.

    ``level``: the share that the quantile is meant to have; None: no gate says.
    """
    rows = drawn_rows([len(one.truth) for one in numbers.values()])
    below = {role: one.truth <= one.answer for role, one in numbers.items()}
    found = {role: curves.reliability(below[role], one.answer, alpha) for role, one in numbers.items()}
    x = np.concatenate([b.predicted for b in found.values()])
    chart = Chart(
        f"{title}: share of both versions' rows where they answer about the same",
        Axis.linear(float(x.min()), float(x.max()), "answer", _number),
        Axis.linear(0, 1, "labels up to it", percent),
        height=TALL,
    )
    if level is not None:
        chart.across(level, "limit")
    for role, one in found.items():
        draw_bins(chart, one, role, _number)
    overall = " and ".join(f"{each.mean():.1%} of {role}" for role, each in below.items())
    meant = f" Dotted: {percent(level)}, which the gate names." if level is not None else ""
    return Figure(
        title,
        chart.render(),
        f"Share of labels that are at most the answer: {overall}. Ten bins of equally many rows by what was "
        f"answered, of {rows}; uprights: Wilson's interval, {1 - alpha:.0%} on either side.{meant}",
    )


def absolute_error(numbers: Mapping[Role, Numbers], title: str = "Absolute error") -> Figure:
    """The empirical distribution of the error."""
    shares = np.linspace(0, 1, 101)
    errors = {role: np.abs(one.answer - one.truth) for role, one in numbers.items()}
    largest = max(float(e.max()) for e in errors.values()) or 1.0
    least = largest / 1e4
    quantiles = {role: np.maximum(np.quantile(each, shares), least) for role, each in errors.items()}
    chart = Chart(
        f"{title} of both versions: share of answers within an error",
        Axis.log(
            max(min(float(q[1]) for q in quantiles.values()), least), largest, "absolute error, log axis"
        ),
        Axis.linear(0, 1, "share of rows", percent),
        height=TALL,
    )
    for role, each in quantiles.items():
        chart.line(each, shares, role)
    medians = " and ".join(f"{_number(float(np.median(e)))} of {role}" for role, e in errors.items())
    return Figure(
        title,
        chart.render(),
        f"Share of rows within an error; further left is better. Half are within {medians}.",
    )


def error_by_label(numbers: Mapping[Role, Numbers], title: str = "Error by label") -> Figure:
    """Where on the scale of the labels a version answers too much or too little."""
    found = {
        role: curves.spread_in_bins(one.truth, one.answer - one.truth, (0.1, 0.5, 0.9))
        for role, one in numbers.items()
    }
    together = np.concatenate(list(found.values()))
    chart = Chart(
        f"{title} of both versions: median, and the middle four fifths",
        Axis.linear(float(together[:, 0].min()), float(together[:, 0].max()), "label", _number),
        Axis.linear(float(together[:, 1:].min()), float(together[:, 1:].max()), "answer − label", _number),
        height=TALL,
    )
    chart.across(0.0, "limit")
    for role, (at, low, middle, high) in ((role, each.T) for role, each in found.items()):
        chart.band(at, low, high, role)
        chart.line(at, middle, role)
    return Figure(
        title,
        chart.render(),
        "Answer minus label in ten bins of the label: the median, and the band of the middle four fifths.",
    )
