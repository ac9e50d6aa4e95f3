"""Other names of metrics, and scorers of scikit-learn that are no gates: why, and what to write instead."""

from __future__ import annotations

ALIASES = {
    "r²": "r2",
    "errors": "error_rate",
    "throttled": "cpu_throttled",
    "mean_absolute_error": "mae",
    "mean_absolute_percentage_error": "mape",
    "median_absolute_error": "median_ae",
    "root_mean_squared_error": "rmse",
    "root_mean_squared_log_error": "rmsle",
    "mean_pinball_loss": "pinball",
    "picp": "interval_coverage",
    "regression_coverage_score": "interval_coverage",
    "regression_mean_width_score": "interval_width",
    "width": "interval_width",
    "poisson_deviance": "mean_poisson_deviance",
    "gamma_deviance": "mean_gamma_deviance",
    "cohen_kappa_score": "cohen_kappa",
    "latency": "p99",
    "median": "p50",
}
"""What a metric is called elsewhere."""
_BACKWARDS = {
    "neg_mean_absolute_error": "mae",
    "neg_root_mean_squared_error": "rmse",
    "neg_mean_squared_error": "rmse",
    "neg_negative_likelihood_ratio": "negative_likelihood_ratio",
    "neg_mean_absolute_percentage_error": "mape",
    "neg_median_absolute_error": "median_ae",
    "neg_max_error": "max_error",
    "neg_mean_squared_log_error": "rmsle",
    "neg_root_mean_squared_log_error": "rmsle",
    "neg_mean_poisson_deviance": "mean_poisson_deviance",
    "neg_mean_gamma_deviance": "mean_gamma_deviance",
    "neg_log_loss": "log_loss",
    "neg_brier_score": "brier_score",
    "brier_score_loss": "brier_score",
}
_NEAR = {
    "d2_log_loss_score": "log_loss",
    "d2_brier_score": "brier_score",
    "roc_auc_ovo": "roc_auc_ovr",
    "roc_auc_ovo_weighted": "roc_auc_ovr",
    "roc_auc_ovr_weighted": "roc_auc_ovr",
}
"""Scorers of probabilities that rank models as another does, or nearly so."""
_CLUSTERINGS = (
    *("adjusted_mutual_info_score", "adjusted_rand_score", "completeness_score", "fowlkes_mallows_score"),
    *("homogeneity_score", "mutual_info_score", "normalized_mutual_info_score", "rand_score"),
    "v_measure_score",
)


def why_not(name: str) -> str | None:
    """Why a scorer of scikit-learn is no gate, and what to write instead; None: it is none that is known."""
    if name in _BACKWARDS:
        return f"{name} counts backwards; write '{_BACKWARDS[name]} <= ...'"
    if name in _NEAR:
        return f"{name} is not among the metrics of scores here; {_NEAR[name]} is near it"
    if name in _CLUSTERINGS:
        return f"{name} is for clusterings, whose labels have no names; write accuracy or f1_macro"
    if name.endswith("_samples"):
        return f"{name} is for rows with several labels, a row has one here; write {name[:-8]}_macro"
    if name == "d2_absolute_error_score":
        return f"{name} is mae on another scale, from 1 downwards; write mae"
    return None
