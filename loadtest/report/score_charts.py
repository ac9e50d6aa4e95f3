"""The charts of scores: how reliable probabilities are, how they spread, how they tell classes apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from loadtest.experiment.role import ROLES, Role
from loadtest.judge.answered_rows import Scores
from loadtest.report.binned_charts import TALL, draw_bins, drawn_rows, percent
from loadtest.report.charts import Figure
from loadtest.report.matrix import short_apart
from loadtest.report.svg import Axis, Chart
from loadtest.stats import curves
from loadtest.stats.curves import Curve

Floats = NDArray[np.float64]
Scored = Mapping[Role, Scores]

_MOST_CLASSES = 12
_POINTS = 200
_BINS = 40
_LETTERS = 6
"""Of a class beside an axis."""
_FEWEST = 2
_MARKS = (0.02, 0.05, 0.2, 0.5, 1.0)


def _top(one: Scores) -> tuple[Floats, NDArray[np.bool_]]:
    """Each row's highest score, and whether it is the true class's."""
    best = one.scores.argmax(axis=1)
    return one.scores[np.arange(len(best)), best], best == one.truth


def reliability(classes: tuple[str, ...], scored: Scored, alpha: float) -> list[Figure]:
    """As Guo et al. 2017, On Calibration of Modern Neural Networks, do for more than two classes."""
    two = len(classes) == 2
    what = f"share labelled {classes[1]}" if two else "share answered correctly"
    chart = Chart(
        f"Reliability of both versions: {what} against the predicted probability",
        Axis.linear(0, 1, "predicted probability" if two else "probability of the answer", percent),
        Axis.linear(0, 1, what, percent),
        height=TALL,
    )
    chart.line([0, 1], [0, 1], "limit")
    for role, one in scored.items():
        probability, happened = (one.scores[:, 1], one.truth == 1) if two else _top(one)
        draw_bins(chart, curves.reliability(happened, probability, alpha), role, _tenths)
    rows = drawn_rows([len(one.truth) for one in scored.values()])
    return [
        Figure(
            "Reliability",
            chart.render(),
            f"Ten bins of equally many rows, of {rows}; uprights: Wilson's interval, "
            f"{1 - alpha:.0%} on either side. Dotted: what is "
            "predicted happens. Below it: it is predicted too often.",
        )
    ]


def _tenths(share: float) -> str:
    return f"{share:.1%}"


def distributions(classes: tuple[str, ...], scored: Scored) -> list[Figure]:
    """The scores of the positive and of the negative rows; of more classes, of right and of wrong answers."""
    two = len(classes) == 2
    names = (
        (f"labelled {classes[1]}", f"labelled {classes[0]}") if two else ("answered right", "answered wrong")
    )
    parts: dict[str, dict[Role, Floats]] = {name: {} for name in names}
    for role, one in scored.items():
        score, yes = (one.scores[:, 1], one.truth == 1) if two else _top(one)
        for name, chosen in zip(names, (yes, ~yes), strict=True):
            parts[name][role] = score[chosen]
    everything = np.concatenate([each for part in parts.values() for each in part.values()])
    likely = all(one.probabilities for one in scored.values())
    low, high = (0.0, 1.0) if likely else (float(everything.min()), float(everything.max()))
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    what = "score" if two else "score of the answer"
    charts = [_distribution(what, name, part, edges) for name, part in parts.items()]
    counts = "; ".join(
        f"{name}: " + " and ".join(f"{len(each):,} rows of {role}" for role, each in part.items())
        for name, part in parts.items()
    )
    caption = f"{counts}. The upright axes grow with the square root, so that few rows are seen, too."
    return [Figure("Distribution of scores", Markup("").join(charts), caption)]


def _distribution(what: str, name: str, part: Mapping[Role, Floats], edges: Floats) -> Markup:
    shares = {role: curves.shares(each, edges) for role, each in part.items()}
    top = max(float(each.max()) for each in shares.values())
    end = next(mark for mark in _MARKS if mark >= top)
    ticks = [(mark, percent(mark)) for mark in (0.0, *_MARKS) if mark <= end]
    chart = Chart(
        f"Scores of both versions, rows {name}",
        Axis.linear(edges[0], edges[-1], what),
        # most scores of a good model lie in two bins: on a plain axis the others vanish
        Axis(0.0, end, ticks, f"share of the rows {name}", np.sqrt),
        height=TALL // 2,
    )
    for role, each in shares.items():
        chart.line(np.repeat(edges, 2)[1:-1], np.repeat(each, 2), role)
    return chart.render()


def roc_and_precision(classes: tuple[str, ...], scored: Scored) -> list[Figure]:
    """Both curves; of more than two classes those of the class whose area changed most, and all areas."""
    if len(classes) == 2:
        return _two_curves(scored, 1, classes[1], "") if _enough(scored, 1) else []
    counts = np.bincount(scored[Role.STABLE].truth, minlength=len(classes))
    frequent = np.sort(np.argsort(-counts, kind="stable")[:_MOST_CLASSES])
    places = [place for place in frequent.tolist() if _enough(scored, place)]
    if not places:
        return []
    areas, precisions = (
        {place: {role: curves.area(each(one, place)) for role, one in scored.items()} for place in places}
        for each in (_roc, _precision)
    )
    moved = max(places, key=lambda place: abs(areas[place][Role.CANDIDATE] - areas[place][Role.STABLE]))
    more = len(classes) - len(places)
    said = f" {more:,} rarer classes are left out." if more else ""
    return [
        _areas("ROC AUC", classes, areas, said),
        _areas("Average precision", classes, precisions, said),
        *_two_curves(scored, moved, classes[moved], " Of the classes shown, its ROC AUC changed most."),
    ]


def _enough(scored: Scored, place: int) -> bool:
    counts = [np.count_nonzero(one.truth == place) for one in scored.values()]
    sizes = [len(one.truth) for one in scored.values()]
    return all(_FEWEST <= n <= size - _FEWEST for n, size in zip(counts, sizes, strict=True))


def _roc(one: Scores, place: int) -> Curve:
    return curves.roc_curve(one.truth == place, one.scores[:, place])


def _precision(one: Scores, place: int) -> Curve:
    """As steps: between two thresholds precision falls at once (Davis and Goadrich 2006)."""
    found = curves.precision_recall_curve(one.truth == place, one.scores[:, place])
    return Curve(np.repeat(found.x, 2)[:-1], np.repeat(found.y, 2)[1:])


def _two_curves(scored: Scored, place: int, name: str, why: str) -> list[Figure]:
    two = scored[Role.STABLE].scores.shape[1] == 2
    against = f"{name} against the {'other' if two else 'rest'}"
    roc = Chart(
        f"ROC curves of both versions: label {against}",
        Axis.linear(0, 1, "false positive rate", percent),
        Axis.linear(0, 1, "true positive rate (recall)", percent),
        height=TALL,
    )
    precision = Chart(
        f"Precision and recall of both versions: label {against}",
        Axis.linear(0, 1, "recall", percent),
        Axis.linear(0, 1, "precision", percent),
        height=TALL,
    )
    roc.line([0, 1], [0, 1], "limit")
    share = float((scored[Role.STABLE].truth == place).mean())
    precision.across(share, "limit")
    areas: list[tuple[str, str]] = []
    for role, one in scored.items():
        pair = _roc(one, place), _precision(one, place)
        for chart, curve in zip((roc, precision), pair, strict=True):
            thin = curve.thin(_POINTS)
            chart.line(thin.x, thin.y, role)
        areas.append((f"{role} {curves.area(pair[0]):.4f}", f"{role} {curves.area(pair[1]):.4f}"))
    of_roc, of_precision = (", ".join(each) for each in zip(*areas, strict=True))
    rows = drawn_rows([len(each.truth) for each in scored.values()])
    return [
        Figure(
            f"ROC curve of {name}",
            roc.render(),
            f"Label {against}, {rows}. Area: {of_roc}. Dotted: chance.{why}",
        ),
        Figure(
            f"Precision and recall of {name}",
            precision.render(),
            f"Label {against}. Average precision: {of_precision}. Dotted: chance, which is the share of "
            f"such rows, {share:.1%}.{why}",
        ),
    ]


def _areas(
    what: str, classes: tuple[str, ...], areas: Mapping[int, Mapping[Role, float]], said: str
) -> Figure:
    places = sorted(areas, key=lambda place: areas[place][Role.CANDIDATE] - areas[place][Role.STABLE])
    lowest = min(value for pair in areas.values() for value in pair.values())
    heights = np.arange(len(places), 0, -1) - 0.5
    shown = short_apart([classes[place] for place in places], _LETTERS)
    names = list(zip(heights.tolist(), shown, strict=True))
    chart = Chart(
        f"{what} of each class against the rest, of both versions",
        Axis.linear(min(lowest, 0.99), 1.0, what),
        Axis(0.0, float(len(places)), names, "class"),
        height=60 + 20 * len(places),
    )
    for at, place in zip(heights, places, strict=True):
        pair = [areas[place][role] for role in ROLES]
        chart.line(pair, [at, at], "zero")
        for role, value in zip(ROLES, pair, strict=True):
            chart.dots([value], [at], role, [f"{role}, class {classes[place]}: {value:.4f}"])
    return Figure(
        f"{what} by class",
        chart.render(),
        f"Each class against the rest; at the top the one that lost most.{said}",
    )
