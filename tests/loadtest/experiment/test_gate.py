"""Gate expressions: what parses, what is refused, and that text and object are the same thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import GateError
from loadtest.experiment.gate import Gate
from loadtest.experiment.gate_name import quoted
from loadtest.experiment.metrics import METRICS, NUMBER, SHARE, Metric


@pytest.mark.parametrize(
    ("text", "metric", "against", "bound", "relative", "margin_unit"),
    [
        ("p95 <= stable + 10%", "p95", "stable", 0.1, True, "%"),  # a share of stable's own quantile
        ("p50 <= stable + 25ms", "p50", "stable", 0.025, False, "ms"),  # a difference
        ("p99<=0.2s", "p99", "absolute", 0.2, False, "ms"),  # blanks are optional, units become seconds
        ("p50 <= stable", "p50", "stable", 0.0, False, "ms"),  # no margin at all
        ("p99 <= stable + 150%", "p99", "stable", 1.5, True, "%"),  # two and a half times as slow
        ("error_rate <= 0.1%", "error_rate", "absolute", 0.001, False, "%"),
        ("error_rate <= stable + 0.5pp", "error_rate", "stable", 0.005, False, "pp"),
        ("accuracy >= 0.30", "accuracy", "absolute", 0.3, False, "%"),  # a share of 1 is shown as per cent
        ("accuracy >= stable - 1pp", "accuracy", "stable", 0.01, False, "pp"),
        ("f1_macro >= stable - 2pp", "f1_macro", "stable", 0.02, False, "pp"),
        ("goodput >= 50/s", "goodput", "absolute", 50.0, False, "/s"),
        ("throughput >= stable - 5%", "throughput", "stable", 0.05, True, "%"),
        ("value >= stable - 2%", "value", "stable", 0.02, True, "%"),
        ("MAE <= stable + 0.5", "mae", "stable", 0.5, False, ""),  # metrics know no capitals
        ("positive_likelihood_ratio >= 4", "positive_likelihood_ratio", "absolute", 4.0, False, ""),
        (
            *("negative_likelihood_ratio <= stable + 10%", "negative_likelihood_ratio"),
            *("stable", 0.1, True, "%"),
        ),
        ("r2 >= 0.8", "r2", "absolute", 0.8, False, ""),
        # what can be below 0: a loss, worse than the labels' mean, worse than chance
        ("value >= -500", "value", "absolute", -500.0, False, ""),
        ("r2 >= -0.5", "r2", "absolute", -0.5, False, ""),
        ("explained_variance >= stable - 2", "explained_variance", "stable", 2.0, False, ""),
        ("matthews_corrcoef >= -20%", "matthews_corrcoef", "absolute", -0.2, False, "%"),
        ("cohen_kappa >= 0", "cohen_kappa", "absolute", 0.0, False, "%"),
        ("memory <= stable + 20%", "memory", "stable", 0.2, True, "%"),
        ("memory <= 512m", "memory", "absolute", 2.0**29, False, "MiB"),
        ("mismatches == 0", "mismatches", "absolute", 0.0, False, ""),
        ("cpu_throttled <= 20%", "cpu_throttled", "absolute", 0.2, False, "%"),
    ],
)
def test_parses(text, metric, against, bound, relative, margin_unit):
    gate = Gate.parse(text)
    assert (gate.metric, gate.against, gate.relative) == (metric, against, relative)
    assert gate.bound == pytest.approx(bound)
    assert gate.margin_unit == margin_unit
    assert str(gate) == text


def test_a_blank_after_the_sign_of_a_bound_parses():
    assert Gate.parse("value >= - 500") == Gate.parse("value >= -500")
    # a slice is somebody's data
    assert Gate.parse("value[gain = - 5] >=- 0.5").value == "- 5"


def test_parses_a_slice():
    gate = Gate.parse("accuracy[segment = new customers] >= stable - 2pp")
    assert (gate.column, gate.value) == ("segment", "new customers")


@pytest.mark.parametrize(
    ("written", "column", "value"),
    [
        # what pandas.cut makes
        ("age=(17, 25]", "age", "(17, 25]"),
        ("age=[17, 25)", "age", "[17, 25)"),
        # an operator, and blanks that somebody's data have
        ("size=>=65", "size", ">=65"),
        ("place=Bad  Ems", "place", "Bad  Ems"),
        ('place=" x "', "place", " x "),
        # an empty or missing cell
        ("place=", "place", ""),
        ('place=""', "place", ""),
        # the first = ends the name, but for quotes
        ("rate=x=a", "rate", "x=a"),
        ('"rate=x"=a', "rate=x", "a"),
        # a column without a name, and quotes
        ('""=a', "", "a"),
        ('place="the ""old"" one"', "place", 'the "old" one'),
        ("place=the 'old' one", "place", "the 'old' one"),
        ('place="a][b=c"', "place", "a][b=c"),
        ('place="two\nlines"', "place", "two\nlines"),
    ],
)
def test_any_value_can_be_written(written, column, value):
    gate = Gate.parse(f"accuracy [{written}]  >=  stable - 2pp")
    assert (gate.column, gate.value) == (column, value)
    assert Gate.parse(str(gate)) == gate


@given(st.text(), st.text())
def test_quoted_is_read_as_it_was(column, value):
    gate = Gate.parse(f"accuracy[{quoted(column)}={quoted(value)}] >= stable - 2pp")
    assert (gate.column, gate.value) == (column, value)
    assert gate.measured == f"accuracy[{quoted(column)}={quoted(value)}]"


@pytest.mark.parametrize(
    ("metric", "quantile"), [("p50", 0.5), ("p99", 0.99), ("p995", 0.995), ("p9999", 0.9999)]
)
def test_quantiles(metric, quantile):
    assert Gate.parse(f"{metric} <= 1s").quantile == quantile


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p95 < 3ms", "does not parse; write 'p95 <= 3ms'"),
        ("p99.9 < 1s", "write 'p999 <= 1s'"),
        ("p95 <= stable * 1.1", "write 'p95 <= stable + 10%'"),
        # advice that would be refused next is none
        ("p95 > 3ms", "its form is 'p95 >= 3ms', and lower p95 is better"),
        ("accuracy >= 0.9 * stable", "its form is 'accuracy >= stable - 10%', and a margin on accuracy"),
        ("acuracy > 0.9", "did you mean 'accuracy'"),
        ("x & y < 3", "write for example"),
        # an error of the label's size is no share of it
        ("mae <= 5%", "in '%' but in the label's unit; write '5'"),
        ("rmse <= stable + 5ms", "in 'ms' but in the label's unit; write '5' or '5%'"),
        ("log_loss <= 5%", "write '0.05'"),
        # what is counted is no share
        ("mismatches <= 5%", "is not given in '%'; write '5'"),
        ("p95 <= ", "does not parse"),
        ("p95 <= candidate + 3ms", "does not parse"),
        ("acuracy >= 0.3", "did you mean 'accuracy'"),
        ("latency <= 3ms", "did you mean 'p99'"),
        ("xyzzy <= 3ms", "unknown metric 'xyzzy'; there are p50"),
        ("p100 <= 3ms", "not a latency quantile"),  # would read as the 10th percentile
        ("p05 <= 3ms", "not a latency quantile"),
        ("roc_auc >= 80%", "is not given in '%'; write '0.8'"),
        ("roc_auc >= stable - 1pp", "is not given in 'pp'; write '0.01'"),
        ("roc_auc == 0.8", "'==' fits only"),
        ("log_loss >= 0.4", "lower log_loss is better"),
        ("neg_log_loss >= 0.4", "write 'log_loss <= ...'"),
        ("top_k_accuracy >= 90%", "lacks its number; write for example top_k_accuracy@10"),
        ("p95 >= 3ms", "lower p95 is better"),
        ("accuracy <= 0.3", "higher accuracy is better"),
        ("p95 == 3ms", "'==' fits only 'mismatches == 0'"),
        ("p95 <= stable - 10%", "the margin points the wrong way"),
        ("accuracy >= stable + 1pp", "the margin points the wrong way"),
        ("p99 <= 250", "has no unit; write '250ms' or '250s'"),
        ("p95 <= stable + 1pp", "in 'pp'; write '1ms' or '1s' or '1%'"),
        ("accuracy >= stable - 1%", "write '1pp'"),  # one per cent of what? points are meant
        ("accuracy >= 3ms", "in 'ms'; write '3%'"),
        ("goodput >= 50", "write '50/s'"),
        ("accuracy >= 130%", "cannot exceed 100%"),
        # what nothing can miss
        ("accuracy >= 0", "every version meets this"),
        ("error_rate <= 100%", "every version meets this"),
        ("recall >= stable - 100pp", "every version meets this"),
        ("accuracy >= -5%", "every version meets this"),
        ("roc_auc >= 0", "every version meets this"),
        ("ndcg@10 >= stable - 1", "every version meets this"),
        ("goodput >= 0/s", "every version meets this"),
        ("matthews_corrcoef >= -100%", "every version meets this"),
        # and what nothing can meet
        ("mae <= -5", "no version meets this: mae is never below 0"),
        ("mismatches == -1", "no version meets this"),
        # a percentage without its sign
        ("agreement >= 99.5", "cannot exceed 100%; write 99.5%"),
        ("score_shift[0.9] <= stable + 1", "such as 'score_shift[0.9] <= 0.05'"),
        ("agreement[scores=0.01] >= stable", "such as 'agreement[scores=0.01] >= 99.5%'"),
        ("error_rate <= stable + 101pp", "cannot exceed 100%"),
        ("value >= stable - 100%", "must be below 100%"),
        ("r2 >= 1", "no number of requests can show"),
        ("r2 >= 1.5", "no number of requests can show"),  # beyond what there is
        ("negative_likelihood_ratio <= 0", "no number of requests can show"),
        ("negative_likelihood_ratio >= 1", "lower negative_likelihood_ratio is better"),
        ("mismatches <= 0.5", "whole number"),
        ("error_rate <= 0%", "no number of requests can show"),
        ("accuracy >= 100%", "no number of requests can show"),
        ("p99 <= 0ms", "no number of requests can show"),
        ("memory[segment=new] <= 512m", "has no slice"),
    ],
)
def test_refuses_what_makes_no_sense_in_one_line(text, message):
    with pytest.raises(GateError) as caught:
        Gate.parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


RANKED = {
    "ndcg": Metric("ndcg", SHARE, "higher", "discrimination", takes=("@",)),
    "pinball": Metric("pinball", NUMBER, "lower", "regression", takes=("[]",)),
    "mae": Metric("mae", NUMBER, "lower", "regression", takes=("output",)),
    "interval_width": METRICS["interval_width"],
    "quantile": Metric("quantile", NUMBER, "lower", "regression", takes=("output", "[]")),
}
"""Metrics whose names have arguments."""


@pytest.mark.parametrize(
    ("text", "arguments", "part"),
    [
        ("ndcg@10 >= stable - 1pp", (("@", "10"),), (None, None)),
        ("ndcg@5[segment=new]>=30%", (("@", "5"),), ("segment", "new")),
        ("pinball[0.9] <= stable + 2%", (("[]", "0.9"),), (None, None)),
        ("pinball[0.9][city=a=b] <= 3", (("[]", "0.9"),), ("city", "a=b")),
        # a named argument may be left out, and is no slice
        ("mae <= 3", (), (None, None)),
        ("mae[output=price][segment=new] <= 3", (("output", "price"),), ("segment", "new")),
        ("mae[segment=new][output = price] <= 3", (("output", "price"),), ("segment", "new")),
        ("pinball[age=(17, 25]][0.9] <= 3", (("[]", "0.9"),), ("age", "(17, 25]")),
        ("mae[output=price][age=[17, 25)] <= 3", (("output", "price"),), ("age", "[17, 25)")),
        # several in one pair of brackets, before and behind a slice; what is no list of them is a value
        (
            *("interval_width[lower=q05, upper=q95][segment=new] <= 3",),
            *((("lower", "q05"), ("upper", "q95")), ("segment", "new")),
        ),
        (
            *("interval_width[segment=new][upper=q95,lower=q05] <= 3",),
            *((("upper", "q95"), ("lower", "q05")), ("segment", "new")),
        ),
        (
            *("interval_width[lower=q05][upper=q95] <= 3",),
            *((("lower", "q05"), ("upper", "q95")), (None, None)),
        ),
        ("quantile[0.9, output=q90] <= 3", (("[]", "0.9"), ("output", "q90")), (None, None)),
        (
            "quantile[segment=new][output=q90,0.9] <= 3",
            (("output", "q90"), ("[]", "0.9")),
            ("segment", "new"),
        ),
        ("quantile[0.9][output=q90, EUR] <= 3", (("[]", "0.9"), ("output", "q90, EUR")), (None, None)),
        ("mae[output=price, EUR] <= 3", (("output", "price, EUR"),), (None, None)),
        # a column of that name is written in quotes
        ('mae["output"="price"] <= 3', (), ("output", "price")),
    ],
)
def test_names_with_arguments(text, arguments, part):
    gate = Gate.parse(text, RANKED)
    assert gate.arguments == arguments
    assert (gate.column, gate.value) == part
    assert Gate.parse(str(gate), RANKED) == gate


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ndcg >= 30%", "ndcg lacks its number; write for example ndcg@10"),
        ("pinball <= 3", "write for example pinball[0.9]"),
        ("pinball[most] <= 3", "[most] is not a number"),
        ("pinball[0.9][0.5] <= 3", "[0.5] is one too many"),
        ("mae@10 <= 3", "mae takes no @10"),
        ("mae[0.9] <= 3", "mae takes no [0.9]; a slice reads [column=value]"),
        ("mae[a=b][c=d] <= 3", "[c=d] is one too many; a gate has one slice"),
        ("mae[output=a][output=b] <= 3", "[output=b] is one too many"),
        # a slice among arguments would be part of a name
        (
            "mae[output=a,segment=new] <= 3",
            "mae takes no segment; a slice stands in brackets of its own: [output=",
        ),
        ("quantile[0.9,0.5] <= 3", "[0.9,0.5] is not a number"),
        (
            "interval_width <= 3",
            "lacks its lower output; write for example interval_width[lower=q05,upper=q9",
        ),
        ("interval_width[lower=q05] <= 3", "interval_width lacks its upper output"),
        ("interval_width[lower=a,upper=a] <= 3", "a is both ends of the interval; name the other one"),
    ],
)
def test_arguments_that_a_metric_does_not_take(text, message):
    with pytest.raises(GateError) as caught:
        Gate.parse(text, RANKED)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "measured"),
    [
        ("p99<=0.2s", "p99"),
        ("accuracy[segment=new] >= stable - 2pp", "accuracy[segment=new]"),
        # an operator inside of the slice
        ("accuracy[size=a<=b] >= 30%", "accuracy[size=a<=b]"),
    ],
)
def test_what_is_measured_is_all_but_the_bound(text, measured):
    assert Gate.parse(text).measured == measured


@given(st.text())
def test_any_text_is_a_gate_or_a_gate_error(text):
    try:
        Gate.parse(text)
    except GateError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either way out is right


_NUMBERS = st.decimals("0.001", "0.9", places=3).map(str)
_SLICES = st.just("") | st.tuples(
    st.text("abcXYZ_0189", min_size=1), st.text("abc XYZ-.0189é", min_size=1)
).filter(lambda s: s[1].strip()).map(lambda s: f"[{s[0]}={s[1]}]")  # fmt: skip


@st.composite
def expressions(draw: st.DrawFn) -> str:
    lower = [("p50", "ms", "%"), ("p999", "s", "ms"), ("error_rate", "%", "pp"), ("rmse", "", "%")]
    higher = [
        *(
            (m.name, "%", "pp")
            for m in METRICS.values()
            if m.higher_is_better and m.quantity is SHARE and not m.takes and not m.absolute
        ),
        ("top_k_accuracy@5", "%", "pp"),
        ("roc_auc", "", ""),
        ("goodput", "/s", "%"),
        ("value", "", ""),
    ]
    metric, absolute, margin = draw(st.sampled_from(lower + higher))
    operator, sign = ("<=", "+") if (metric, absolute, margin) in lower else (">=", "-")
    bound = draw(_NUMBERS) + absolute
    if draw(st.booleans()):
        bound = draw(st.sampled_from(["stable", f"stable {sign} {draw(_NUMBERS)}{margin}"]))
    blank = draw(st.sampled_from(["", " ", "  "]))
    return f"{metric}{draw(_SLICES)}{blank}{operator}{blank}{bound}"


@given(expressions())
def test_text_and_gate_round_trip(text):
    gate = Gate.parse(text)
    assert Gate.parse(str(gate)) == gate
