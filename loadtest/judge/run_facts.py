"""What a verdict needs to know beside the samples: facts about the lab and the load generator."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from loadtest.experiment.role import Role


class RestartFacts(BaseModel):
    """One of several deployments of both versions: when its load began, in seconds of the run's load."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    begins_s: float
    duration_s: float


class BaselineFacts(BaseModel):
    """What was asked of one version before the load, and whether it gave the same answer twice."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    asked: int
    answered: int
    steady: bool


class LoadFacts(BaseModel):
    """What the load generator says of itself (``load.json``); keys that the judge does not use are let by.

    ``valid`` is False, with a ``reason``, when the measurement itself is bad: the run is then INVALID.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    offered_rps: float
    achieved_rps: float
    schedule_lag_ms_p99: float | None = None
    duration_s: float
    baseline: dict[str, BaselineFacts] = Field(default_factory=dict)
    valid: bool = True
    reason: str | None = None
    restarts: tuple[RestartFacts, ...] = ()


class VersionFacts(BaseModel):
    """What the lab saw of one version: CPU limit in force (cores), share of periods throttled, and the
    resident memory of its serving process when the load ended."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    cpus: float | None = None
    cpu_throttled_ratio: float | None = None
    memory_bytes: int | None = None


class RunFacts(BaseModel):
    """Facts of one run: ``RunFacts(backend="local", load=LoadFacts(...))``; None: not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: Literal["compose", "local", "urls"]
    load: LoadFacts
    versions: dict[Role, VersionFacts] = Field(default_factory=dict)

    def of(self, role: Role) -> VersionFacts:
        """The facts of one version, each None where nothing is known."""
        return self.versions.get(role, VersionFacts())
