"""Labels at a threshold of one's own, precision at a recall and the other way round."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_curve

from loadtest.canary import live_gates
from loadtest.errors import ExperimentError, GateError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.judge.gate_checks import check_gates
from loadtest.judge.judge import judge
from loadtest.judge.verdict import Word
from loadtest.stats import operating_points
from loadtest.stats.bootstrap import BootstrapEstimate
from tests.loadtest.judge.test_score_tests import dataset, experiment, made, value_of

SETS = 200


def by_definition(positive, score, least, kind):
    """The best of scikit-learn's curve, whose last point is no threshold; recall 0 where none will do."""
    precision, recall, _ = precision_recall_curve(positive, score)
    wanted, held = (precision, recall) if kind == "precision" else (recall, precision)
    return max((w for w, h in zip(wanted[:-1], held[:-1], strict=True) if h >= least - 1e-12), default=0.0)


@pytest.mark.parametrize("kind", ["precision", "recall"])
def test_the_best_is_that_of_scikit_learns_curve(kind):
    for seed in range(SETS):
        rng = np.random.default_rng(seed)
        rows = int(rng.integers(2, 80))
        positive = rng.random(rows) < rng.choice([0.1, 0.5, 1.0])
        positive[0] = True
        # few values, many ties; all equal in some sets
        score = np.round(rng.random(rows) + 0.5 * positive, int(rng.integers(0, 3)))
        least = float(rng.choice([0.05, 0.5, 0.9, 1.0]))
        found = operating_points.best(positive, score, least, kind)
        assert found == pytest.approx(by_definition(positive, score, least, kind), abs=1e-9)


def test_draws_of_all_rows_are_the_rows_and_equal_versions_have_equal_draws():
    rng = np.random.default_rng(1)
    positive, score = rng.random(3000) < 0.4, rng.random(3000)
    made_of = operating_points.tallies(positive, score)
    assert made_of.positive.sum() == positive.sum()
    assert made_of.negative.sum() == (~positive).sum()
    assert made_of.positive.shape == (1000, operating_points.THRESHOLDS + 1)
    moved = operating_points.replicates(made_of, 0.5, "precision")
    assert np.array_equal(moved, operating_points.replicates(made_of, 0.5, "precision"))
    assert not np.array_equal(moved, operating_points.replicates(made_of, 0.5, "precision", seed=1))
    assert 0 < np.std(moved) < 0.05


LABELS = np.array(["0", "1"] * 200)
RNG = np.random.default_rng(7)
GOOD = np.clip(np.where(LABELS == "1", 0.7, 0.3) + 0.15 * RNG.normal(size=400), 0, 1)
BAD = RNG.permutation(GOOD)


@pytest.mark.parametrize("traffic", ["duet", "canary"])
@pytest.mark.parametrize(
    ("gate", "candidate", "word"),
    [
        ("precision@recall=0.9 >= stable - 2pp", GOOD, {"duet": Word.PASS}),
        ("precision@recall=90% >= 70%", GOOD, {"duet": Word.PASS, "canary": Word.PASS}),
        ("precision@recall=0.9 >= stable - 2pp", BAD, {"duet": Word.FAIL, "canary": Word.FAIL}),
        ("recall@precision=0.9 >= stable - 2pp", BAD, {"duet": Word.FAIL, "canary": Word.FAIL}),
        ("recall@precision=0.9 >= 99%", BAD, {"duet": Word.FAIL, "canary": Word.FAIL}),
    ],
)
def test_verdicts(gate, candidate, word, traffic):
    run = made(LABELS, GOOD, candidate, gate, traffic=traffic)
    assert judge(run).gates[0].verdict is word.get(traffic, Word.INCONCLUSIVE)


@pytest.mark.parametrize("kind", ["precision", "recall"])
@pytest.mark.parametrize("seed", range(5))
def test_an_own_level_is_as_wide_as_draws_and_counts_ask_for(kind, seed):
    rng = np.random.default_rng(seed)
    positive = rng.random(150) < 0.3
    score = np.round(rng.normal(size=150) + 1.5 * positive, 1)
    best = operating_points.best(positive, score, 0.6, kind)
    replicates = np.sort(best + 0.02 + 0.1 * rng.normal(size=500))
    drawn = BootstrapEstimate(best, 45, 0.5, replicates, 0.0, corrected=False)
    level = operating_points.OwnLevel(drawn, operating_points.counted(positive, score), 0.6, kind)
    low, high = level.interval(0.05)
    assert low <= drawn.interval(0.05)[0]
    assert high >= drawn.interval(0.05)[1]
    # the p-values are those of the ends
    assert level.p_above(low + 0.01) > 0.05
    assert low < 0.04 or level.p_above(low - 0.04) < 0.05
    assert level.p_below(high - 0.01) > 0.05
    assert level.p_below(high + 0.04) < 0.05
    # the count, by scipy's exact interval at the same threshold
    at = np.sort(score[positive])[::-1]
    tops = [(int((score[positive] >= s).sum()), int((score >= s).sum())) for s in at]
    if kind == "precision":
        hits, rows = next(top for top in tops if top[0] >= 0.6 * positive.sum() - 1e-9)
        exact = binomtest(hits, rows).proportion_ci(0.9, "exact").low
    else:
        shown = [hits for hits, rows in tops if binomtest(hits, rows, 0.6, "greater").pvalue < 0.05]
        exact = max(shown, default=0) / positive.sum()
    mirrored = 2 * drawn.value - drawn.interval(0.05)[1]
    assert low == pytest.approx(max(0, min(exact, drawn.interval(0.05)[0], mirrored)), abs=1e-9)


@pytest.mark.parametrize(
    ("gate", "scores", "word", "says"),
    [
        # three positive rows are the highest of all: that is no recall of 1% of 200 yet
        (
            "recall@precision=0.9 >= 1%",
            "few",
            Word.INCONCLUSIVE,
            "3 positive rows lie above the threshold, and",
        ),
        (
            "recall@precision=0.9 >= 1%",
            "few",
            Word.INCONCLUSIVE,
            "fewer than 29 cannot show a precision of 0.9",
        ),
        # and cannot be what 50% of them are
        ("recall@precision=0.9 >= 50%", "few", Word.FAIL, "at most"),
        # a recall of 1% is two rows, which show no precision of 60%, though there is none above them
        (
            "precision@recall=0.01 >= 60%",
            "few",
            Word.INCONCLUSIVE,
            "fewer than 6 cannot show a precision of 0.6",
        ),
        ("recall@precision=0.9 >= 50%", "good", Word.PASS, "at least"),
    ],
)
def test_a_few_rows_above_the_threshold_show_little(gate, scores, word, says):
    few = 0.2 + 0.1 * np.random.default_rng(3).random(400)
    few[[1, 3, 5]] = 0.9
    candidate = few if scores == "few" else GOOD
    found = judge(made(LABELS, GOOD, candidate, gate)).gates[0]
    assert (found.verdict, says in found.reason) == (word, True), found.reason


def test_a_slice_and_rows_without_an_answer():
    part = np.where(np.arange(400) < 150, "a", "b")
    own = by_definition(LABELS[:150] == "1", np.float32(GOOD[:150]), 0.9, "precision")
    gate = "precision@recall=0.9[part=a] >= 10%"
    assert value_of(gate, made(LABELS, GOOD, GOOD, part=part)) == pytest.approx(own, abs=1e-9)
    silent = made(LABELS, GOOD, [None] * 399 + [0.9], "precision@recall=0.9 >= 60%")
    assert judge(silent).gates[0].verdict is Word.FAIL


@pytest.mark.parametrize(
    ("text", "metric", "number"),
    [
        ("precision@recall=0.9 >= 80%", "precision@recall", 0.9),
        ("recall@precision=95% >= stable - 1pp", "recall@precision", 0.95),
        ("Precision@Recall = 0.9[a=b=c] >= 80%", "precision@recall", 0.9),
    ],
)
def test_how_they_are_written(text, metric, number):
    gate = Gate.parse(text)
    assert (gate.metric, gate.number) == (metric, number)
    assert Gate.parse(str(gate)) == gate


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("precision@recall >= 80%", "does not parse"),
        ("precision@recall=1 >= 80%", "=1 does not lie between 0 and 1; write precision@recall=0.9"),
        ("precision@accuracy=0.9 >= 80%", "did you mean 'precision@recall'|unknown metric"),
        ("precision@5 >= 80%", "precision takes no @5"),
        ("roc_auc@recall=0.9 >= 0.8", "unknown metric"),
    ],
)
def test_what_is_none(text, says):
    with pytest.raises(GateError, match=says):
        Gate.parse(text)


def with_threshold(*gates, **data):
    given = experiment(*gates).model_dump() | {"gates": list(gates)}
    given["data"] |= {"threshold": 0.3} | data
    return Experiment.parse(given, "test")


YES = ["no", "yes"] * 4


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (dataset(["0", "1"] * 4), None),
        (dataset(YES, named=("no", "yes")), None),
        # only frauds, with both classes named
        (dataset(["1"] * 4, named=("0", "1")), None),
        (dataset(YES), "nothing says which of no and yes is the positive class; name both"),
        (dataset(["a", "b", "c"]), "is for two classes, and the evaluation set has 3"),
        (dataset(["1"] * 4), "the evaluation set has 1; name both under"),
    ],
)
def test_a_threshold_is_for_two_classes_whose_positive_one_is_known(rows, says):
    if says is None:
        check_gates(with_threshold("recall >= 80%"), rows)
        return
    with pytest.raises(ExperimentError, match=says):
        check_gates(with_threshold("accuracy >= 80%"), rows)


def test_a_regression_has_no_threshold():
    with pytest.raises(ExperimentError, match="a threshold makes labels of scores, and a regression has"):
        with_threshold("mae <= 3", task="regression")


def test_a_canary_goes_by_the_versions_own_labels():
    given = with_threshold("accuracy >= stable - 1pp", "error_rate <= stable + 1pp")
    with pytest.raises(ExperimentError, match="a canary goes by the labels that the versions answer"):
        live_gates.check(given)


def test_scores_are_asked_for_where_a_threshold_needs_them():
    assert with_threshold("accuracy >= 80%").scored
    assert not experiment("accuracy >= 80%").scored


@pytest.mark.parametrize(
    ("named", "recall"),
    [
        # of two named classes the last is the positive one
        (("no", "yes"), 0.75),
        (("yes", "no"), 1.0),
    ],
)
def test_scores_of_one_class_go_by_the_named_positive_one(named, recall):
    run = made(YES, [[0.5, 0.5]] * 8, [[0.5, 0.5]] * 8, named=named)
    wrong = run.evidence.candidate.correct.copy()
    wrong[1] = False
    candidate = replace(run.evidence.candidate, correct=wrong)
    run = replace(run, evidence=replace(run.evidence, candidate=candidate))
    assert value_of("recall >= 10%", run) == pytest.approx(recall)
