"""scikit-learn's names of scorers: which of them are gates, by which name, and why the others are not.

A gate is judged from the predicted label or value of each row, with an interval; that rules out scores of
probabilities, and what is no mean over rows.
"""

from __future__ import annotations

_AVERAGES = ("", "_macro", "_micro", "_weighted")

SCORERS = (
    "balanced_accuracy",
    "matthews_corrcoef",
    *(name + average for name in ("f1", "precision", "recall", "jaccard") for average in _AVERAGES),
)
"""Shares of a classification that are computed from whole sets of answers, by their scikit-learn names."""

LIKELIHOOD_RATIOS = ("positive_likelihood_ratio", "negative_likelihood_ratio")
"""Of two classes: sensitivity / (1 - specificity), and (1 - sensitivity) / specificity."""

_BACKWARDS = {
    "neg_mean_absolute_error": "mae",
    "neg_root_mean_squared_error": "rmse",
    "neg_mean_squared_error": "rmse",
    "neg_negative_likelihood_ratio": "negative_likelihood_ratio",
}
_PROBABILITIES = (
    *("roc_auc", "average_precision", "neg_log_loss", "neg_brier_score"),
    *("top_k_accuracy", "d2_log_loss_score", "d2_brier_score"),
)
_CLUSTERINGS = (
    *("adjusted_mutual_info_score", "adjusted_rand_score", "completeness_score", "fowlkes_mallows_score"),
    *("homogeneity_score", "mutual_info_score", "normalized_mutual_info_score", "rand_score"),
    "v_measure_score",
)
_REGRESSIONS = (
    *("d2_absolute_error_score", "explained_variance", "neg_max_error", "neg_mean_absolute_percentage_error"),
    *("neg_mean_gamma_deviance", "neg_mean_poisson_deviance", "neg_mean_squared_log_error"),
    *("neg_median_absolute_error", "neg_root_mean_squared_log_error"),
)


def why_not(name: str) -> str | None:
    """Why a scorer of scikit-learn is no gate, and what to write instead; None: it is none that is known."""
    if name in _BACKWARDS:
        return f"{name} counts backwards; write '{_BACKWARDS[name]} <= ...'"
    if name.startswith(_PROBABILITIES):
        return f"{name} needs probabilities, samples carry the predicted label; f1_macro is near it"
    if name in _CLUSTERINGS:
        return f"{name} is for clusterings, whose labels have no names; write accuracy or f1_macro"
    if name.endswith("_samples"):
        return f"{name} is for rows with several labels, a row has one here; write {name[:-8]}_macro"
    if name in _REGRESSIONS:
        return f"{name} is not among the metrics of a regression here; there are mae, rmse and r2"
    return None
