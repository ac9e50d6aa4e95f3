"""Charts of answers: what they say of made answers, and that a million rows make no large page."""

import re
from dataclasses import replace

import numpy as np
import pytest

from loadtest.judge.answered_rows import Numbers, Scores
from loadtest.report import error_charts, quality_charts, score_charts
from loadtest.report.matrix import matrix, short_apart
from loadtest.report.ranking_charts import gain_by_place
from loadtest.report.sections import Sections
from loadtest.stats.curves import add_to_confusion
from tests.loadtest.judge.test_outputs import made as outputs_run


def scored(rows: int, classes: int, noise: float) -> Scores:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, classes, rows)
    raw = 2.0 * np.eye(classes)[truth] + noise * np.random.default_rng(2).normal(size=(rows, classes))
    raw = np.exp(raw)
    return Scores(raw / raw.sum(axis=1, keepdims=True), truth, True)


def versions(rows: int, classes: int) -> dict[str, Scores]:
    return {"stable": scored(rows, classes, 1.0), "candidate": scored(rows, classes, 3.0)}


def points(chart: str, kind: str) -> np.ndarray:
    (found,) = re.findall(rf'<polyline class="{kind}" points="([^"]*)"', chart)
    return np.array([point.split(",") for point in found.split()], float)


def drawn(classes: tuple[str, ...], one: dict[str, Scores]) -> dict[str, str]:
    made = [
        *score_charts.reliability(classes, one, 0.05),
        *score_charts.distributions(classes, one),
        *score_charts.roc_and_precision(classes, one),
    ]
    return {figure.title: figure.chart + figure.caption for figure in made}


def test_of_two_classes_the_worse_version_lies_below():
    charts = drawn(("no", "yes"), versions(4000, 2))
    assert list(charts) == [
        "Reliability", "Distribution of scores", "ROC curve of yes", "Precision and recall of yes",
    ]  # fmt: skip
    assert charts["Reliability"].count("whisker") == 20
    stable, candidate = (points(charts["ROC curve of yes"], kind) for kind in ("stable", "candidate"))
    across = np.linspace(80, 400, 9)
    # up is a smaller y
    assert (np.interp(across, *candidate.T) > np.interp(across, *stable.T)).all()
    areas = re.search(r"Area: stable (0\.\d+), candidate (0\.\d+)", charts["ROC curve of yes"])
    assert float(areas[1]) > float(areas[2]) > 0.5
    # both labels of both versions, each a histogram of 40 bins
    assert charts["Distribution of scores"].count("<polyline") == 4


def test_of_ten_classes_the_one_that_changed_most_has_curves():
    one = versions(5000, 10)
    broken = one["candidate"].scores.copy()
    broken[:, 7] = np.random.default_rng(3).random(5000)
    one["candidate"] = one["candidate"]._replace(scores=broken)
    charts = drawn(tuple("abcdefghij"), one)
    assert "ROC curve of h" in charts
    assert "Precision and recall of h" in charts
    for name in ("ROC AUC by class", "Average precision by class"):
        assert charts[name].count("<circle") == 20
        # the lowest on the page is the last one drawn: the one that lost most stands first
        assert re.findall(r"candidate, class (.)", charts[name])[0] == "h"


def test_a_class_without_rows_has_no_curve():
    one = {role: each._replace(truth=np.zeros_like(each.truth)) for role, each in versions(50, 2).items()}
    assert score_charts.roc_and_precision(("no", "yes"), one) == []


@pytest.mark.parametrize("classes", [2, 10])
def test_many_rows_make_a_page_no_larger(classes):
    sizes = [sum(map(len, drawn(tuple("abcdefghij"[:classes]), versions(n, classes)).values()))
             for n in (2_000, 60_000)]  # fmt: skip
    assert sizes[1] < 1.5 * sizes[0] < 100_000


def test_a_regression_that_answers_too_much_lies_below_the_diagonal():
    truth = np.random.default_rng(1).gamma(3, 20, 3000)
    numbers = {"stable": Numbers(truth, truth + 1), "candidate": Numbers(truth, truth + 30)}
    charts = [
        error_charts.label_by_answer(numbers, 0.05),
        error_charts.absolute_error(numbers),
        error_charts.error_by_label(numbers),
    ]
    assert all(chart.chart.count("<polyline") >= 2 for chart in charts)
    assert "Half are within 1 of stable and 30 of candidate" in charts[1].caption
    stable, candidate = (points(charts[2].chart, kind) for kind in ("stable", "candidate"))
    assert (candidate[:, 1] < stable[:, 1]).all()


@pytest.mark.parametrize(
    ("gates", "data", "outputs"),
    [
        # without a label nothing says which output the answer is: the first one stands for it
        (["mae[output=units] <= 1"], {}, ["price", "units"]),
        (["interval_width[lower=low,upper=high] <= 9"], {}, ["price"]),
        (["mae[output=units] <= 1", "rmse[output=units] <= 1"], {"label": "sold"}, [None, "units"]),
    ],
)
def test_the_errors_of_each_gated_output_are_drawn(gates, data, outputs):
    truth = np.arange(60.0)
    answers = dict.fromkeys(("price", "units", "low", "high"), truth)
    run = outputs_run(
        {"sold": truth},
        answers,
        {**answers, "units": truth + 7},
        *gates,
        outputs=dict.fromkeys(answers, "sold"),
    )
    named = run.experiment.data.model_copy(update=data)
    run = replace(run, experiment=run.experiment.model_copy(update={"data": named}))
    sections = Sections()
    drawn = {figure.title: figure for group in quality_charts.figures(run, sections) for figure in group}
    of = ["" if output is None else f" of {output}" for output in outputs]
    assert list(drawn) == [
        kind + each for each in of for kind in ("Label and answer", "Absolute error", "Error by label")
    ]
    if "units" in outputs:
        assert "Half are within 0 of stable and 7 of candidate" in drawn["Absolute error of units"].caption
    assert sections.missing == []


@pytest.mark.parametrize(
    ("gates", "level"),
    [
        (["pinball[0.9][output=high] <= 5"], "90%"),
        (["pinball[0.9][output=high] <= 5", "interval_coverage[lower=low,upper=high] >= 50%"], "90%"),
        # whoever holds it against the true value says that it is one; so does the median
        (["pinball[0.9][output=high] <= 5", "mae[output=high] <= 5"], None),
        (["pinball[0.5][output=high] <= 5"], None),
    ],
)
def test_a_predicted_quantile_is_not_drawn_as_a_mean(gates, level):
    truth = np.arange(60.0)
    low, high = {"stable": truth - 2, "candidate": truth - 9}, {"stable": truth + 7, "candidate": truth - 1}
    outputs = dict.fromkeys(("price", "low", "high"), "sold")
    answers = [{"price": truth, "low": low[role], "high": high[role]} for role in ("stable", "candidate")]
    sections = Sections()
    groups = quality_charts.figures(outputs_run({"sold": truth}, *answers, *gates, outputs=outputs), sections)
    of_high = [figure for group in groups for figure in group if figure.title.endswith(" high")]
    if level is None:
        assert len(of_high) == 3
        return
    (figure,) = of_high
    assert figure.title == "Labels up to high"
    assert "at most the answer: 100.0% of stable and 0.0% of candidate." in figure.caption
    assert f"Dotted: {level}, which the gate names." in figure.caption


# the end of an interval stands for the answer, and no gate says which quantile it is
def test_a_quantile_of_unknown_level_has_no_line():
    truth = np.arange(60.0)
    outputs = dict.fromkeys(("low", "high"), "sold")
    run = outputs_run(
        {"sold": truth},
        {"low": truth, "high": truth},
        {"low": truth, "high": truth},
        "interval_coverage[lower=low,upper=high] >= 50%",
        outputs=outputs,
    )
    ((figure,),) = quality_charts.figures(run, Sections())
    assert figure.title == "Labels up to low"
    assert "Dotted" not in figure.caption


def test_an_error_of_nothing_is_drawn_too():
    same = np.arange(30.0)
    numbers = {role: Numbers(same, same) for role in ("stable", "candidate")}
    assert "Half are within 0 of stable" in error_charts.absolute_error(numbers).caption
    assert "<polyline" in error_charts.label_by_answer(numbers, 0.05).chart
    constant = {role: Numbers(same, np.full(30, 3.0)) for role in numbers}
    assert "<circle" in error_charts.label_by_answer(constant, 0.05).chart


# two classes have room for counts; of twelve, counts of a million do not fit: per cent
@pytest.mark.parametrize(("classes", "rows", "text"), [(2, 1000, "500"), (12, 1_200_000, "100")])
def test_cells_of_a_matrix_say_what_fits(classes, rows, text):
    truth = np.arange(rows) % classes
    counts = np.zeros((classes, classes))
    add_to_confusion(counts, truth, truth, np.ones(rows))
    names = [f"<class {i}>" for i in range(classes)]
    drawn = matrix("Confusion", names, names, counts, "stable")
    assert drawn.count(f">{text}</text>") == classes
    assert drawn.count("<rect") == classes**2
    assert "<class" not in drawn


# short ones, long ones whose beginnings differ, ones that begin alike
@pytest.mark.parametrize(
    ("names", "shown"),
    [(["a", "b"], ["a", "b"]), (["buys it", "leaves"], ["buys …", "leaves"]),
     (["product 7", "product 8", "none"], ["…uct 7", "…uct 8", "none"])],
)  # fmt: skip
def test_long_names_stay_apart(names, shown):
    assert short_apart(names, 6) == shown


@pytest.mark.parametrize("gain", [1.0, 2.5])  # a share of the rows, and a mean of gains
def test_the_better_list_gains_more_in_its_first_place(gain):
    stable, candidate = (np.zeros((50, 3)) for _ in range(2))
    stable[:40, 0] = stable[40:45, 2] = gain
    candidate[:20, 0] = candidate[20:45, 1] = gain
    figure = gain_by_place({"stable": stable, "candidate": candidate}, 0.05)
    # up is a smaller y
    lines = {kind: points(figure.chart, kind)[:, 1] for kind in ("stable", "candidate")}
    assert (lines["stable"] < lines["candidate"]).tolist() == [True, False, True]
    assert figure.chart.count("whisker") == 6
    assert f"stable: place 1, mean gain {0.8 * gain:.4f} (" in figure.chart
    assert "Of 50 distinct rows" in figure.caption
