"""The figures of a run while it lasts, as every page and terminal shows them."""

from __future__ import annotations

from collections import deque
from typing import Any

from loadtest.load.live.counts import LiveCounts, RoleCounts, quantile

_RECENT = 5
"""Events that recent quantiles look back over: about as many seconds."""


class Progress:
    """``Progress(counts).event(elapsed, sent)`` once a second."""

    def __init__(self, counts: LiveCounts) -> None:
        self._counts = counts
        self._before = deque([self._latencies()], maxlen=_RECENT)

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
        roles, before = self._counts.roles, self._before[0]
        self._before.append(self._latencies())
        return {
            "elapsed": round(elapsed, 1),
            "sent": sent,
            "done": sum(counts.requests for counts in roles.values()),
            "errors": sum(counts.errors for counts in roles.values()),
            "lag_ms_p99": quantile(self._counts.lag.counts, 0.99),
            "versions": {role: _figures(counts, before[role]) for role, counts in roles.items()},
        }

    def _latencies(self) -> dict[str, Any]:
        return {role: counts.latency.counts.copy() for role, counts in self._counts.roles.items()}


def _figures(counts: RoleCounts, before: Any) -> dict[str, Any]:
    latency, recent = counts.latency.counts, counts.latency.counts - before
    return {
        "done": counts.requests,
        "errors": counts.errors,
        "accuracy": counts.correct / counts.labelled if counts.labelled else None,
        **{name: quantile(latency, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))},
        "recent": {"p50": quantile(recent, 0.5), "p99": quantile(recent, 0.99)} if recent.any() else None,
    }
