"""The charts of a run's answers: probabilities and classes, ranked lists, or the numbers of a regression."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from loadtest.experiment.role import ROLES, Role
from loadtest.judge.answered_rows import Numbers, Scores, answered_numbers, confusion, gains, scored_rows
from loadtest.judge.run import Run
from loadtest.report import error_charts, score_charts
from loadtest.report.charts import Figure
from loadtest.report.matrix import matrix
from loadtest.report.ranking_charts import gain_by_place
from loadtest.report.sections import Sections

_Named = tuple[str, Callable[[], list[Figure]]]

MOST_CLASSES = 12
"""Of a confusion matrix."""
MOST_PLACES = 10
"""Of a list."""
_MEDIAN = 0.5


def figures(run: Run, sections: Sections) -> list[list[Figure]]:
    """Every chart of answers for which there is evidence, in groups that belong side by side.

    ``sections`` is told of a chart that cannot be drawn.
    """
    no_scores: Mapping[Role, Scores] = {}
    no_numbers: Mapping[Role, Numbers] = {}
    no_gains: Mapping[Role, NDArray[np.float64]] = {}
    scored = sections.make("Charts of scores", lambda: scored_rows(run), no_scores)
    numbers = {
        output: sections.make(
            "Charts of errors" + _of(output), partial(answered_numbers, run, output), no_numbers
        )
        for output in _outputs(run)
    }
    gained = sections.make("Gain by place", lambda: gains(run, MOST_PLACES), no_gains)
    classes = run.dataset.classes
    drawn: list[list[_Named]] = []
    probabilities: list[_Named] = []
    unlike = [str(role) for role, one in scored.items() if not one.probabilities]
    if unlike:
        why = f"the scores of {' and '.join(unlike)} are no probabilities"
        sections.missing.append(f"Reliability: not shown, {why}")
    elif scored:
        probabilities = [("Reliability", lambda: score_charts.reliability(classes, scored, run.alpha))]
    if scored:
        drawn += [
            [
                *probabilities,
                ("Distribution of scores", lambda: score_charts.distributions(classes, scored)),
            ],
            [("ROC and precision-recall", lambda: score_charts.roc_and_precision(classes, scored))],
        ]
    quantiles = _quantiles(run)
    drawn += [
        _of_errors(each, run.alpha, output)
        for output, each in numbers.items()
        if each and output not in quantiles
    ]
    drawn.append(
        [
            _of_quantile(each, run.alpha, output, quantiles[output])
            for output, each in numbers.items()
            if each and output in quantiles
        ]
    )
    if gained:
        drawn.append([("Gain by place", lambda: [gain_by_place(gained, run.alpha)])])
    drawn.append([("Confusion matrix", lambda: _confusion(run))])
    nothing: list[Figure] = []
    groups = [
        [figure for name, draw in group for figure in sections.make(name, draw, nothing)] for group in drawn
    ]
    return [group for group in groups if group]


def _outputs(run: Run) -> list[str | None]:
    """The outputs whose errors are drawn: those that gates are about; None: the answer itself."""
    gates = (gate for gate in run.experiment.gates if gate.entry.per_row)
    return list(dict.fromkeys([_answer(run), *(output for gate in gates for output in gate.outputs)]))


def _answer(run: Run) -> str | None:
    """The output that stands for the answer: without a label nothing says which of them it is."""
    data = run.experiment.data
    return next(iter(data.outputs)) if data.outputs and data.label is None else None


def _quantiles(run: Run) -> dict[str | None, float | None]:
    """The outputs that are predicted quantiles, as their gates say, with the level; None: no gate says it.

    An output is none, or the median, where gates compare it with the true value itself.
    """
    found: dict[str | None, float | None] = {}
    values: set[str | None] = set()
    for gate in run.experiment.gates:
        names = gate.outputs or (_answer(run),)
        if gate.entry.name == "pinball":
            found[names[0]] = gate.number
        elif gate.entry.name.startswith("interval_"):
            for name in names:
                found.setdefault(name, None)
        elif gate.entry.per_row:
            values |= set(names)
    return {name: level for name, level in found.items() if name not in values and level != _MEDIAN}


def _of(output: str | None) -> str:
    return "" if output is None else f" of {output}"


def _of_errors(numbers: Mapping[Role, Numbers], alpha: float, output: str | None) -> list[_Named]:
    charts: list[tuple[str, Callable[[str], Figure]]] = [
        ("Label and answer", lambda title: error_charts.label_by_answer(numbers, alpha, title)),
        ("Absolute error", lambda title: error_charts.absolute_error(numbers, title)),
        ("Error by label", lambda title: error_charts.error_by_label(numbers, title)),
    ]
    return [(title + _of(output), partial(_alone, draw, title + _of(output))) for title, draw in charts]


def _of_quantile(
    numbers: Mapping[Role, Numbers], alpha: float, output: str | None, level: float | None
) -> _Named:
    title = "Labels up to " + (output or "the answer")
    return title, lambda: [error_charts.labels_up_to(numbers, alpha, level, title)]


def _alone(draw: Callable[[str], Figure], title: str) -> list[Figure]:
    return [draw(title)]


def _confusion(run: Run) -> list[Figure]:
    found = confusion(run, MOST_CLASSES)
    if found is None:
        return []
    made = []
    for role in ROLES:
        counts = found.counts[role]
        chart = matrix(
            f"Confusion matrix of {role}: labels and answers", found.lines, found.columns, counts, role
        )
        right = float(np.trace(counts))
        caption = (
            f"{right:,.0f} of {counts.sum():,.0f} distinct rows on the diagonal. The stronger the colour, "
            "the larger the share of the label's rows."
        )
        made.append(Figure(f"Confusion matrix: {role}", chart, caption))
    return made
