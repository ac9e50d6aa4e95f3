"""The metrics: one entry each, and everything that a gate, the judge and the pages need to know of it.

A new metric is one entry of ``METRICS``; it also needs a function in ``loadtest.judge.metric_tests`` where
its ``test`` is new. A metric that is a mean over the rows of a regression needs nothing but its formula::

    Metric("mape", NUMBER, "lower", "regression", task="regression", best=0.0, useless=None,
           per_row=lambda truth, answer: abs(answer - truth) / abs(truth))

Names are scikit-learn's where it has one; ``other_scorers`` says which of its scorers are no gates, and why.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from loadtest.experiment.other_scorers import ALIASES, why_not
from loadtest.experiment.units import (
    COUNT,
    LABEL,
    LATENCY,
    MEMORY,
    NUMBER,
    RATE,
    RELATIVE,
    SCORE,
    SHARE,
    Quantity,
)
from loadtest.stats import row_errors, scores

Floats = NDArray[np.float64]
OUTPUTS = ("output", "lower", "upper")
"""The arguments that name an output of a version."""
Interim = Literal["estimated", "bets", "counted", "read", "scored"]


@dataclass(frozen=True)
class Metric:
    """What there is to know of a metric.

    Args:
        name: as a gate names it.
        quantity: what it is counted in.
        better: which direction is an improvement.
        test: the function of ``loadtest.judge.metric_tests`` that measures it.
        task: the only task that it fits; None: any.
        also: another one: of a ranking it is about the first item; the ranking of a classification are its
            classes by their scores.
        needs: what it is computed from beside answers and labels: ``baseline`` answers, the ``value`` column,
            a ``positive class`` among the labels, ``two classes`` of them, labels that ``vary``, or of
            which each is in the metric's domain: ``labels above 0`` and the like, see
            ``loadtest.stats.row_errors``. ``scores`` of answers, and of classes: that they are a ``pair``,
            that there are ``rows of each class``, that the last of a pair says ``yes``, that they are more
            than the ``k`` of ``@k``.
        interim: how a run that is judged while it lasts treats it: by its interval at each analysis
            (``estimated``, or ``bets`` where pairs are bet on, which is exact from the first one on), as a
            count that may FAIL at any (``counted``), or at the end only (``read``, or ``scored``).
        restarts: how several deployments are judged: all samples together (``pooled``), where answers do not
            depend on the deployment; by one estimate ``each``; or by these, with an interval no narrower
            than the pooled one (``wider``).
        sliced: it can be measured on a slice of the rows.
        live: what a canary follows it by, in the counters of live traffic, or in the ``pairs`` of answers
            that the shadow has; None: it cannot.
        best: the value of a perfect version, which no number of requests can prove; None: there is none.
        least: the value that no version falls below.
        useless: the value of answers that say nothing; None: that of the labels' mean.
        quantile: of a latency, the quantile.
        takes: the arguments of its name: ``@`` a whole number (``ndcg@10``), ``[]`` a number
            (``pinball[0.9]``), ``=`` a share (``precision@recall=0.9``), any other a
            named one (``mae[output=price]``), which may be left out; not so ``lower`` and ``upper``.
        between: the number in the name lies between these.
        per_row: of a regression, each row's part, from labels and answers of shape (n,), and the number in
            brackets where it takes one; not finite where the metric is undefined.
        of_sums: of a regression, the metric from the sums over rows of ``per_row``, label, label squared,
            rows and error, shape (replicates, 5).
        absolute: why it can have no margin on stable, as a clause; empty: it can.
    """

    name: str
    quantity: Quantity
    better: Literal["lower", "higher"]
    test: str
    task: Literal["classification", "regression", "ranking"] | None = None
    also: Literal["ranking", "classification"] | None = None
    needs: tuple[str, ...] = ()
    interim: Interim = "estimated"
    restarts: Literal["pooled", "each", "wider"] = "pooled"
    sliced: bool = True
    live: Literal["latency", "errors", "answers", "pairs"] | None = None
    best: float | None = None
    least: float = 0.0
    useless: float | None = 0.0
    quantile: float | None = None
    takes: tuple[str, ...] = ()
    between: tuple[float, float] = (-math.inf, math.inf)
    per_row: Callable[..., Floats] | None = None
    of_sums: Callable[[Floats], Floats] = scores.mean
    absolute: str = ""

    @property
    def higher_is_better(self) -> bool:
        """Whether harm is a fall (accuracy) rather than a rise (latency)."""
        return self.better == "higher"

    @property
    def compares_versions(self) -> bool:
        """Whether it holds the answers of both versions against each other, and against no label."""
        return self.live == "pairs"

    def fits(self, task: str) -> bool:
        """Whether it can be measured on answers of a task."""
        return self.task in (None, task) or self.also == task


def _of_labels(name: str, *needs: str, least: float = 0.0) -> Metric:
    entry = Metric(name, SHARE, "higher", "classification", task="classification", needs=needs, best=1.0)
    return replace(entry, least=least)


def _of_numbers(name: str, per_row: Callable[..., Floats], *needs: str, **more: Any) -> Metric:
    """The error of a regression: lower is better, 0 is best."""
    entry = Metric(name, LABEL, "lower", "regression", task="regression", needs=needs, best=0.0)
    takes = ("output", *more.pop("takes", ()))
    return replace(entry, useless=None, per_row=per_row, takes=takes, **more)


def _of_scores(
    name: str, quantity: Quantity, better: Literal["lower", "higher"], test: str, *needs: str, best: float,
    takes: tuple[str, ...] = (), between: tuple[float, float] = (-math.inf, math.inf),
) -> Metric:  # fmt: skip
    return Metric(
        *(name, quantity, better, test), task="classification", needs=("scores", *needs), interim="scored",
        best=best, takes=takes, between=between, useless=None,
    )  # fmt: skip


def _of_rankings(name: str, quantity: Quantity, **more: Any) -> Metric:
    """Of ranked lists: higher is better, 1 is best, and lists of items that nobody wants are worth 0."""
    at = ("@",) if name.endswith("@k") else ()
    entry = Metric(name, quantity, "higher", "ranking", task="ranking", interim="scored", best=1.0, takes=at)
    return replace(entry, **{"also": "classification", **more})


_SCORES = ("f1", "precision", "recall", "jaccard")
_ONE_CLASS = dict.fromkeys(_SCORES, ("positive class",)) | {
    # beside no other class it is 100% whatever is answered
    "precision": ("positive class", "two classes")
}
_QUANTILES = Metric("p99", LATENCY, "lower", "latency", restarts="each", live="latency", best=0.0)

METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("error_rate", SHARE, "lower", "errors", restarts="wider", live="errors", best=0.0),
        Metric("cpu_throttled", SHARE, "lower", "cpu_throttled", interim="read", sliced=False, best=0.0),
        Metric(
            *("accuracy", SHARE, "higher", "accuracy"),
            task="classification", also="ranking", interim="bets", live="answers", best=1.0,
        ),
        _of_labels("balanced_accuracy"),
        _of_labels("matthews_corrcoef", "two classes", least=-1.0),
        _of_labels("cohen_kappa", "two classes", least=-1.0),
        *(
            _of_labels(score + average, *([] if average else _ONE_CLASS[score]))
            for score in _SCORES
            for average in ("", "_macro", "_micro", "_weighted")
        ),
        Metric(
            *("positive_likelihood_ratio", NUMBER, "higher", "classification"),
            task="classification", needs=("positive class", "two classes"), useless=1.0,
        ),
        Metric(
            *("negative_likelihood_ratio", NUMBER, "lower", "classification"),
            task="classification", needs=("positive class", "two classes"), useless=1.0, best=0.0,
        ),
        Metric("goodput", RATE, "higher", "goodput", restarts="each"),
        Metric("throughput", RATE, "higher", "throughput", restarts="each"),
        # what `loadproof capacity` finds, from many loads
        Metric("capacity", RATE, "higher", "capacity"),
        Metric(
            *("value", NUMBER, "higher", "value"),
            task="classification", also="ranking", needs=("value",), least=-math.inf,
        ),
        _of_numbers("mae", row_errors.absolute),
        _of_numbers("rmse", row_errors.squared, of_sums=scores.root_mean),
        Metric(
            *("r2", SCORE, "higher", "regression"), task="regression", best=1.0, least=-math.inf,
            needs=("vary",), per_row=row_errors.squared, of_sums=scores.r2, takes=("output",),
        ),
        _of_numbers("mape", row_errors.percentage, "labels other than 0", quantity=RELATIVE),
        _of_numbers("smape", row_errors.symmetric_percentage, quantity=RELATIVE),
        _of_numbers("median_ae", row_errors.absolute, test="median_error"),
        _of_numbers("pinball", row_errors.pinball, takes=("[]",), between=(0.0, 1.0)),
        _of_numbers(
            *("rmsle", row_errors.squared_log, "labels above -1"), of_sums=scores.root_mean, quantity=NUMBER
        ),
        _of_numbers("mean_poisson_deviance", row_errors.poisson, "labels of at least 0", quantity=NUMBER),
        _of_numbers("mean_gamma_deviance", row_errors.gamma, "labels above 0", quantity=NUMBER),
        Metric(
            *("explained_variance", SCORE, "higher", "regression"), task="regression", best=1.0,
            least=-math.inf, needs=("vary",), per_row=row_errors.squared_about_mean,
            of_sums=scores.explained_variance, takes=("output",),
        ),
        _of_numbers(
            "max_error", row_errors.absolute, test="largest_error", interim="counted",
            absolute="one row decides the largest error of each version, so their difference has no interval",
        ),
        Metric(
            *("interval_coverage", SHARE, "higher", "interval_coverage"),
            task="regression", interim="bets", best=1.0, takes=("lower", "upper"),
        ),
        Metric(
            *("interval_width", LABEL, "lower", "interval_width"),
            task="regression", best=0.0, useless=None, takes=("lower", "upper"),
        ),
        Metric(
            *("agreement", SHARE, "higher", "agreement"), interim="bets", live="pairs", best=1.0,
            takes=("scores",), absolute="agreement compares the candidate with stable already",
        ),
        Metric(
            *("score_shift", NUMBER, "lower", "score_shift"), needs=("scores",), interim="scored", best=0.0,
            live="pairs", takes=("[]",), between=(0.0, 1.0),
            absolute="score_shift compares the candidate with stable already",
        ),
        _of_scores("roc_auc", SCORE, "higher", "discrimination", "pair", "rows of each class", best=1.0),
        _of_scores("roc_auc_ovr", SCORE, "higher", "discrimination", "rows of each class", best=1.0),
        _of_scores(
            "average_precision", SCORE, "higher", "discrimination", "yes", "rows of each class", best=1.0
        ),
        *(
            _of_scores(
                *(f"{best}@{held}", SHARE, "higher", "operating_point", "yes", "rows of each class"),
                best=1.0, takes=("=",), between=(0.0, 1.0),
            )
            for best, held in (("precision", "recall"), ("recall", "precision"))
        ),
        _of_scores("log_loss", NUMBER, "lower", "per_row_score", best=0.0),
        _of_scores("brier_score", NUMBER, "lower", "per_row_score", best=0.0),
        replace(
            _of_scores("ece", SCORE, "lower", "calibration_error", "rows of each class", best=0.0),
            absolute="few rows make the error of the better calibrated version too large by more, so their "
            "difference favours the other",
        ),
        _of_scores("top_k_accuracy", SHARE, "higher", "per_row_score", "k", best=1.0, takes=("@",)),
        _of_rankings("ndcg@k", SCORE),
        _of_rankings("hit@k", SHARE, test="ranking_hit", needs=("k",), interim="bets"),
        _of_rankings(
            "value@k", NUMBER, test="ranking_value", needs=("k", "value"), interim="estimated",
            best=None, least=-math.inf,
        ),
        _of_rankings("mrr", SCORE),
        _of_rankings("mrr@k", SCORE),
        _of_rankings("recall@k", SHARE, needs=("k",)),
        _of_rankings("map@k", SCORE),
        _of_rankings(
            "agreement@k", SHARE, test="ranking_overlap", also=None, live="pairs",
            absolute="agreement compares the candidate with stable already",
        ),
        Metric("mismatches", COUNT, "lower", "mismatches", needs=("baseline",), interim="counted"),
        Metric("memory", MEMORY, "lower", "memory", interim="read", sliced=False, best=0.0),
    )
}  # fmt: skip
"""Every metric but the quantiles of latency, which ``find`` knows by their pattern."""

QUALITY = {"classification": "accuracy", "regression": "mae", "ranking": "ndcg@10"}
"""The metric that stands for the quality of answers where a page has room for one."""


def find(name: str, table: Mapping[str, Metric] = METRICS, *, ranked: bool = False) -> Metric | None:
    """The entry of a metric, or of a quantile of latency: ``p10`` to ``p99``, ``p995`` and beyond.

    ``ranked``: ``@`` and a number follow: ``recall@10`` is about rankings, ``recall`` is not.
    """
    if ranked and (entry := table.get(f"{name}@k")):
        return entry
    if re.fullmatch(r"p(?:[1-9]\d|99\d{1,2})", name):
        return replace(_QUANTILES, name=name, quantile=float(f"0.{name[1:]}"))
    return table.get(name)


def why_unknown(name: str) -> str:
    """Why there is no metric of this name, and what to write instead."""
    if reason := why_not(name):
        return reason
    if re.fullmatch(r"p\d+", name):
        return f"{name} is not a latency quantile; there are p10 to p99, p995, p999 and p9999"
    if f"{name}@k" in METRICS:
        return f"{name} lacks its k; write for example {name}@10"
    if name == "coverage":
        return (
            "coverage of predicted intervals is interval_coverage[lower=q05,upper=q95]; that of a catalogue "
            "grows with the rows that are sent, so it has no interval and can be no gate, and each gate on a "
            "ranking reports it, such as ndcg@10"
        )
    near = ALIASES.get(name) or next(iter(difflib.get_close_matches(name, METRICS, 1)), None)
    if near:
        return f"unknown metric {name!r}; did you mean {near!r}?"
    return f"unknown metric {name!r}; there are p50, p95, p99, {', '.join(METRICS)}"
