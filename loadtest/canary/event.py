"""Events: what the controller saw and decided at one scrape; what history, pages and machines are told."""

from __future__ import annotations

from typing import Any, NamedTuple

from loadtest.canary.decision import Decision, Position
from loadtest.canary.live_evidence import Evidence

BY = "auto"
"""How the controller signs in the state's history."""


class Event(NamedTuple):
    """What happened at one scrape, in seconds since the controller began."""

    at: float
    decision: Decision
    before: Position
    evidence: Evidence

    def to_json(self) -> dict[str, Any]:
        """One line for machines, and what the state's history keeps."""
        known = self.evidence
        return {
            "at": round(self.at, 3),
            "decision": self.decision.verb,
            "split": self.decision.split,
            "why": self.decision.why,
            "alarms": {
                gate: {"finding": finding, "evidence": _rounded(evidence), "seen": text}
                for gate, finding, evidence, text in known.alarms
            },
            "proofs": {
                proof.gate: {"shown": [_rounded(share) for share in proof.shown], "seen": proof.text}
                for proof in known.proofs
            },
            "answers": known.answers,
            "arms": known.arms.to_json() if known.arms else None,
        } | ({"shadow": known.shadow.to_json()} if known.shadow else {})


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
