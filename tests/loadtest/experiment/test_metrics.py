"""Every name that scikit-learn has for a scorer is a gate, or is refused in one line that says why."""

import pytest
from sklearn.metrics import get_scorer_names

from loadtest.errors import GateError
from loadtest.experiment.gate import Gate
from loadtest.experiment.metrics import METRICS
from loadtest.judge.metric_tests import TESTS

GATES = {
    *("r2", "explained_variance"),
    *(m.name for m in METRICS.values() if m.task == "classification" and "@" not in m.name),
} - {"value", "negative_likelihood_ratio", "cohen_kappa", "log_loss", "brier_score", "ece"}
REFUSED = {
    # another of the same scores says as much
    "not among the metrics of scores here; log_loss is": {"d2_log_loss_score"},
    "not among the metrics of scores here; brier_score is": {"d2_brier_score"},
    "not among the metrics of scores here; roc_auc_ovr is": {
        *("roc_auc_ovo", "roc_auc_ovo_weighted", "roc_auc_ovr_weighted"),
    },
    # groups without names
    "is for clusterings": {
        *("adjusted_mutual_info_score", "adjusted_rand_score", "completeness_score", "rand_score"),
        *("fowlkes_mallows_score", "homogeneity_score", "mutual_info_score", "normalized_mutual_info_score"),
        "v_measure_score",
    },
    # a set of labels a row
    "rows with several labels": {"f1_samples", "jaccard_samples", "precision_samples", "recall_samples"},
    # less is better: the plain name is the gate's
    "counts backwards; write 'log_loss <=": {"neg_log_loss"},
    "counts backwards; write 'brier_score <=": {"neg_brier_score"},
    "counts backwards; write 'mae <=": {"neg_mean_absolute_error"},
    "counts backwards; write 'rmse <=": {"neg_mean_squared_error", "neg_root_mean_squared_error"},
    "counts backwards; write 'negative_likelihood_ratio <=": {"neg_negative_likelihood_ratio"},
    **{
        f"counts backwards; write '{ours} <=": {name}
        for ours, name in (
            ("mape", "neg_mean_absolute_percentage_error"),
            ("median_ae", "neg_median_absolute_error"),
            ("max_error", "neg_max_error"),
            ("mean_poisson_deviance", "neg_mean_poisson_deviance"),
            ("mean_gamma_deviance", "neg_mean_gamma_deviance"),
        )
    },
    "counts backwards; write 'rmsle <=": {"neg_mean_squared_log_error", "neg_root_mean_squared_log_error"},
    "is mae on another scale": {"d2_absolute_error_score"},
}
REASONS = {name: reason for reason, names in REFUSED.items() for name in names}


@pytest.mark.parametrize("name", get_scorer_names())
def test_every_name_of_scikit_learn(name):
    text = f"{name}{'@2' if name == 'top_k_accuracy' else ''} >= 0.5"
    if name in GATES:
        assert Gate.parse(text).metric == name
        return
    with pytest.raises(GateError) as caught:
        Gate.parse(text)
    assert REASONS[name] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_gate_goes_by_a_name_that_scikit_learn_has_not():
    assert set(get_scorer_names()) == GATES | set(REASONS)


def test_every_metric_has_a_test_that_one_load_can_answer_but_capacity():
    assert {metric.name for metric in METRICS.values() if metric.test not in TESTS} == {"capacity"}
    assert set(TESTS) == {metric.test for metric in METRICS.values()} - {"capacity"} | {"latency"}
