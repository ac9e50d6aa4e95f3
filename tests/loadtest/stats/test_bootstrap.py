"""The bootstrap against theory, and the metrics against scikit-learn."""

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from loadtest.experiment.metrics import METRICS
from loadtest.stats import bootstrap
from loadtest.stats.scores import classification, value_per_thousand


def sums(columns: list[np.ndarray], group: np.ndarray) -> np.ndarray:
    return np.column_stack([np.bincount(group, weights=c) for c in columns])


def test_paired_mean_agrees_with_the_t_interval():
    rng = np.random.default_rng(3)
    s = rng.exponential(10, 5000)
    c = s + rng.normal(0.1, 1, 5000)
    group, ones = bootstrap.groups(5000), np.ones(5000)
    estimate = bootstrap.difference(
        sums([s, ones], group), sums([c, ones], group), value_per_thousand,
        relative=False, paired=True, rows=5000, reach=0.0,
    )  # fmt: skip
    low, high = stats.t.interval(0.9, 4999, loc=(c - s).mean(), scale=stats.sem(c - s))
    assert estimate.value == pytest.approx(1000 * (c - s).mean())
    assert estimate.interval(0.05) == pytest.approx((1000 * low, 1000 * high), abs=3)
    assert estimate.p_above(1000 * low) == pytest.approx(0.05, abs=0.012)
    assert estimate.p_below(1000 * high) == pytest.approx(0.05, abs=0.012)


def test_unpaired_is_wider_than_paired_and_agrees_with_welch():
    rng = np.random.default_rng(4)
    s, c, ones, group = rng.normal(5, 1, 800), rng.normal(5, 1, 800), np.ones(800), bootstrap.groups(800)
    estimate = bootstrap.difference(
        sums([s, ones], group), sums([c, ones], group), value_per_thousand,
        relative=False, paired=False, rows=800, reach=0.0,
    )  # fmt: skip
    welch = stats.ttest_ind(c, s, equal_var=False).confidence_interval(0.9)
    assert estimate.interval(0.05) == pytest.approx((1000 * welch.low, 1000 * welch.high), abs=6)


def test_interval_and_p_value_agree_on_a_skewed_metric():
    rng = np.random.default_rng(5)
    group, ones = bootstrap.groups(300), np.ones(300)
    estimate = bootstrap.level(
        sums([rng.lognormal(0, 1.5, 300), ones], group), value_per_thousand, rows=300, reach=0.0
    )
    low, high = estimate.interval(0.05)
    assert high - estimate.value > estimate.value - low  # the long tail is on the right
    assert estimate.p_above(low) == pytest.approx(0.05, abs=0.003)
    assert estimate.p_below(high) == pytest.approx(0.05, abs=0.003)


def test_no_change_seen_is_not_no_change_possible():
    ones = np.ones((30, 2))
    estimate = bootstrap.difference(
        ones, ones, value_per_thousand, relative=False, paired=True, rows=30, reach=1000.0
    )
    z2 = stats.norm.isf(0.05) ** 2
    assert estimate.interval(0.05) == pytest.approx((-1000 * z2 / (30 + z2), 1000 * z2 / (30 + z2)))
    assert estimate.p_below(1000 * z2 / (30 + z2)) == pytest.approx(0.05)


@pytest.mark.parametrize("rows", [1, 999, 1000, 1001, 12_345])
def test_groups_are_of_equal_size(rows):
    sizes = np.bincount(bootstrap.groups(rows))
    assert len(sizes) == min(rows, bootstrap.GROUPS)
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize("name", [m.name for m in METRICS.values() if m.test == "classification"])
def test_scores_are_those_of_scikit_learn_or_undefined_where_its_are(name):
    plain = "positive class" in METRICS[name].needs
    k = 2 if plain else 4
    base, _, average = name.partition("_")
    theirs = {
        "balanced_accuracy": metrics.balanced_accuracy_score,
        "matthews_corrcoef": metrics.matthews_corrcoef,
        "cohen_kappa": metrics.cohen_kappa_score,
        "positive_likelihood_ratio": lambda t, a: metrics.class_likelihood_ratios(t, a)[0],
        "negative_likelihood_ratio": lambda t, a: metrics.class_likelihood_ratios(t, a)[1],
    }.get(name) or (lambda t, a: getattr(metrics, f"{base}_score")(t, a, average=average or "binary"))
    defined = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        rows = int(rng.integers(20, 80))
        # in some sets one class alone, or one answer
        truth = rng.integers(0, k, rows) * (seed % 20 != 1)
        answer = np.where(rng.random(rows) < 0.7, truth, rng.integers(0, k, rows)) * (seed % 20 != 2)
        one_hot = np.eye(k + 1)
        right = one_hot[truth] * (truth == answer)[:, None]
        features = np.hstack([right, one_hot[answer], one_hot[truth]]).sum(axis=0, keepdims=True)
        ours = classification(name, 1 if plain else None)(features)[0]
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            expected = theirs(truth, answer)
        if np.isnan(ours):
            assert warned or np.isnan(expected) or seed % 20 in (1, 2)
        else:
            assert ours == pytest.approx(expected, abs=1e-9), seed
            defined += 1
    assert defined >= 170


def test_a_likelihood_ratio_without_a_wrong_answer_is_undefined():
    # hits, answers, truths of the classes 0 and 1, and of no label
    sums = np.array([[5.0, 3, 0, 5, 5, 0, 5, 5, 0]])
    assert np.isnan(classification("positive_likelihood_ratio", 1)(sums)[0])
    assert classification("negative_likelihood_ratio", 1)(sums)[0] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("mae", metrics.mean_absolute_error),
        ("rmse", metrics.root_mean_squared_error),
        ("r2", metrics.r2_score),
        ("explained_variance", metrics.explained_variance_score),
    ],
)
def test_regression_metrics_are_those_of_scikit_learn(name, theirs):
    rng, entry = np.random.default_rng(8), METRICS[name]
    truth = rng.normal(20, 5, 200)
    answer = truth + rng.normal(0, 2, 200)
    error = answer - truth
    columns = np.column_stack(
        [entry.per_row(truth, answer), truth, truth**2, np.ones(200), error - error.mean()]
    )
    assert entry.of_sums(columns.sum(axis=0, keepdims=True))[0] == pytest.approx(theirs(truth, answer))


@pytest.mark.parametrize("paired", [True, False])
def test_without_replicates_the_jackknife_says_nearly_the_same(paired):
    rng = np.random.default_rng(6)
    s, ones, group = rng.exponential(10, 2000), np.ones(2000), bootstrap.groups(2000)
    c = s + rng.normal(0.1, 1, 2000) if paired else rng.exponential(10, 2000)
    both = [
        bootstrap.difference(
            sums([s, ones], group), sums([c, ones], group), value_per_thousand,
            relative=True, paired=paired, rows=2000, reach=0.0, resample=resample,
        )
        for resample in (True, False)
    ]  # fmt: skip
    assert both[1].value == both[0].value
    low, high = both[0].interval(0.05)
    assert both[1].interval(0.05) == pytest.approx((low, high), abs=0.05 * (high - low))
    assert both[1].p_above(low) == pytest.approx(0.05, abs=0.02)
    # far tails, where thousands of replicates end
    assert both[1].p_above(low - 10 * (high - low)) < 1e-9


def test_few_large_errors_are_few_however_many_rows_there_are():
    rng = np.random.default_rng(9)
    s, ones, group = rng.standard_t(3, 400) ** 2, np.ones(400), bootstrap.groups(400)
    c = s * rng.lognormal(0, 0.3, 400)

    def estimate(errors: bool) -> tuple[float, float]:
        found = bootstrap.difference(
            sums([s, ones], group), sums([c, ones], group), value_per_thousand,
            relative=True, paired=True, rows=400, reach=0.0, errors=errors,
        )  # fmt: skip
        low, high = found.interval(0.05)
        if errors:  # of the ratio's logarithm
            assert np.log1p(high) + np.log1p(low) == pytest.approx(2 * np.log1p(found.value))
            assert found.p_above(low) == pytest.approx(0.05) == pytest.approx(found.p_below(high))
            assert (found.p_above(-1.0), found.p_below(-1.0)) == (0.0, 1.0)
        return low, high

    assert np.subtract(*estimate(True)[::-1]) > 1.1 * np.subtract(*estimate(False)[::-1])


def test_a_candidate_without_any_error_has_no_ratio():
    s, ones, group = np.arange(1.0, 31), np.ones(30), bootstrap.groups(30)
    found = bootstrap.difference(
        sums([s, ones], group), sums([0 * s, ones], group), value_per_thousand,
        relative=True, paired=True, rows=30, reach=0.0, errors=True,
    )  # fmt: skip
    assert found.interval(0.05) == (-1.0, -1.0)
