"""Live figures of a run: cheap, in constant memory, and only for people to watch.

Quantiles come from a histogram whose buckets grow by 1%; the verdict is computed from the samples.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadtest.data.samples import SampleSet
from loadtest.experiment.role import ROLES

_SMALLEST = 1e-5
_GROWTH = np.log(1.01)
_BUCKETS = 2000
_RECENT = 5
"""Events that recent quantiles look back over: about as many seconds."""


class Progress:
    """``progress.add(samples)`` as they arrive, ``progress.event(elapsed, sent)`` once a second."""

    def __init__(self) -> None:
        self._latency = {role: np.zeros(_BUCKETS, np.int64) for role in ROLES}
        self._before = deque([{v: h.copy() for v, h in self._latency.items()}], maxlen=_RECENT)
        self._lag = np.zeros(_BUCKETS, np.int64)
        self._done = dict.fromkeys(ROLES, 0)
        self._errors = dict.fromkeys(ROLES, 0)
        self._correct = dict.fromkeys(ROLES, 0)
        self._labelled = dict.fromkeys(ROLES, 0)

    def add(self, samples: SampleSet) -> None:
        """Take in samples."""
        self._lag += _histogram(samples.sent_at - samples.scheduled_at)
        labelled = np.asarray(samples.table["correct"].is_valid())
        for role in ROLES:
            mine = samples.is_role(role)
            self._done[role] += int(mine.sum())
            self._errors[role] += int(samples.failed[mine].sum())
            self._correct[role] += int(samples.correct[mine].sum())
            self._labelled[role] += int(labelled[mine].sum())
            self._latency[role] += _histogram(samples.latency[mine])

    def event(self, elapsed: float, sent: int) -> dict[str, Any]:
        """The figures so far.

        Args:
            elapsed: seconds since the run began; negative during the warm-up.
            sent: measured arrivals sent.

        Returns:
            ``elapsed`` and ``sent``, ``done`` and ``errors`` (requests), ``lag_ms_p99``, and per version
            ``done``, ``errors``, ``accuracy``, ``p50``, ``p95``, ``p99`` (milliseconds), and ``recent``: p50
            and p99 of the last few events; None: not yet known.
        """
        recent = {role: self._latency[role] - self._before[0][role] for role in ROLES}
        self._before.append({v: h.copy() for v, h in self._latency.items()})
        return {
            "elapsed": round(elapsed, 1),
            "sent": sent,
            "done": sum(self._done.values()),
            "errors": sum(self._errors.values()),
            "lag_ms_p99": _quantile(self._lag, 0.99),
            "versions": {
                role: {
                    "done": self._done[role],
                    "errors": self._errors[role],
                    "accuracy": self._correct[role] / self._labelled[role] if self._labelled[role] else None,
                    "p50": _quantile(self._latency[role], 0.5),
                    "p95": _quantile(self._latency[role], 0.95),
                    "p99": _quantile(self._latency[role], 0.99),
                    "recent": {
                        "p50": _quantile(recent[role], 0.5),
                        "p99": _quantile(recent[role], 0.99),
                    }
                    if recent[role].any()
                    else None,
                }
                for role in ROLES
            },
        }


def _histogram(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    bucket = (np.log(np.maximum(seconds, _SMALLEST) / _SMALLEST) / _GROWTH).astype(np.int64)
    return np.bincount(np.minimum(bucket, _BUCKETS - 1), minlength=_BUCKETS)


def _quantile(histogram: NDArray[np.int64], share: float) -> float | None:
    """The quantile in milliseconds, within 1%; None where there is nothing."""
    total = int(histogram.sum())
    if not total:
        return None
    bucket = int(np.searchsorted(np.cumsum(histogram), share * total))
    return round(float(_SMALLEST * np.exp((bucket + 0.5) * _GROWTH) * 1000), 3)
