"""What is known from the shadow, for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from loadtest.experiment.role import Role

QUANTILES = (0.5, 0.95, 0.99)


class Shadow(NamedTuple):
    """What is known from the shadow.

    Args:
        pairs: requests of which both answers are known.
        failed: copies that the candidate answered with an error, where stable did not.
        unanswered: copies that the candidate never answered.
        agreement: share of users to whom both versions answer alike, None before the first; see
            ``agreement_tests``.
        interval: the ends of its 95% interval, which holds at every moment.
        judged: rows whose true outcome is known; classification only.
        accuracy: per role the share of them that it predicted; empty before the first.
        latency: per role the quantiles ``QUANTILES`` in seconds, in the server, over the same requests; empty
            before the first.
        users: of whom the agreement is.
        dropped: requests that too many others pushed out before the candidate's answer was due.
    """

    pairs: int
    failed: int
    unanswered: int
    agreement: float | None
    interval: tuple[float, float]
    judged: int
    accuracy: Mapping[Role, float]
    latency: Mapping[Role, tuple[float, ...]]
    users: int = 0
    dropped: int = 0

    @property
    def lost(self) -> str:
        """What became of the copies that were not joined well, for people."""
        dropped = f", {self.dropped:,} not followed: too many at once" if self.dropped else ""
        return f"{self.failed:,} failed, {self.unanswered:,} unanswered{dropped}"

    def to_json(self) -> dict[str, Any]:
        """For machines; seconds."""
        return self._asdict() | {
            "latency": {
                role: {f"p{q * 100:g}": round(value, 6) for q, value in zip(QUANTILES, values, strict=True)}
                for role, values in self.latency.items()
            }
        }
