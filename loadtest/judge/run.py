"""A run as the judge sees it: what was asked, the evaluation set, facts of the lab, and the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from loadtest.data.dataset import Dataset
from loadtest.data.samples import SampleSet
from loadtest.errors import DatasetError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.experiment.role import Role
from loadtest.judge.outcomes import Flags
from loadtest.judge.paired_outcomes import Evidence


class _Facts(BaseModel):
    """Keys that the judge does not use are let by."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class SendingFacts(_Facts):
    """What names the requests of one load, and when it was; None: not known.

    ``run`` is in its request ids and keys its trace ids; ``began_at`` is its time zero in seconds since 1970.
    ``begins_s`` is when it began in seconds of the run's load, and ``moved_s`` how far its samples moved.
    """

    run: str | None = None
    began_at: float | None = None
    begins_s: float = 0.0
    moved_s: float = 0.0


class RestartFacts(SendingFacts):
    """One of several deployments of both versions: when its load began, in seconds of the run's load."""

    begins_s: float
    duration_s: float


class BaselineFacts(_Facts):
    """What was asked of one version before the load, and whether it gave the same answer twice."""

    asked: int
    answered: int
    steady: bool


class LoadFacts(SendingFacts):
    """What the load generator reports about itself (``load.json``).

    ``valid`` is False, with a ``reason``, when the measurement itself is bad: the run is then INVALID.
    ``cut_off``: how the run ended before its end was written, in words.
    """

    offered_rps: float
    achieved_rps: float
    schedule_lag_ms_p99: float | None = None
    duration_s: float
    baseline: dict[str, BaselineFacts] = Field(default_factory=dict)
    warmup_errors: dict[str, int] = Field(default_factory=dict)
    resent: dict[str, int] = Field(default_factory=dict)
    not_answers: dict[str, dict[str, int]] = Field(default_factory=dict)
    valid: bool = True
    reason: str | None = None
    cut_off: str | None = None
    restarts: tuple[RestartFacts, ...] = ()
    evaluation_sha256: str | None = None


class VersionFacts(_Facts):
    """What the lab saw of one version: CPU limit in force (cores), share of periods throttled, and the
    resident memory of its serving process when the load ended. ``died``: how it ended, under load."""

    cpus: float | None = None
    cpu_throttled_ratio: float | None = None
    memory_bytes: int | None = None
    died: str | None = None


class RunFacts(BaseModel):
    """Facts of one run: ``RunFacts(backend="local", load=LoadFacts(...))``; None: not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str
    load: LoadFacts
    versions: dict[Role, VersionFacts] = Field(default_factory=dict)

    def of(self, role: Role) -> VersionFacts:
        """The facts of one version, each None where nothing is known."""
        return self.versions.get(role, VersionFacts())


@dataclass(frozen=True)
class Run:
    """One run, or a part of it: ``Run.gather(experiment, dataset, samples, facts)``.

    Args:
        experiment: what was measured, and the gates to meet.
        dataset: the evaluation set that the rows came from.
        facts: of the lab and the load.
        evidence: both versions' outcomes, of the whole run or of the part that is looked at.
        samples: one per request of the whole run; none in an analysis while it lasts.
    """

    experiment: Experiment
    dataset: Dataset
    facts: RunFacts
    evidence: Evidence
    samples: SampleSet = field(default_factory=SampleSet.empty)

    @classmethod
    def gather(cls, experiment: Experiment, dataset: Dataset, samples: SampleSet, facts: RunFacts) -> Run:
        """Lay out the samples of a whole run, once for all that is asked of it.

        Raises:
            DatasetError: a sample names a row that the evaluation set does not have.
        """
        if len(samples) and int(samples.row.max()) >= len(dataset):
            raise DatasetError(
                f"{dataset.path}: the samples name row {int(samples.row.max())}, it has {len(dataset)} rows; "
                "judge with the evaluation set of the run"
            )
        longest = samples.longest("scores") if samples.scored else 1
        if longest not in (1, len(dataset.classes)):
            raise DatasetError(
                f"{dataset.path}: the samples have {longest} scores, the evaluation set has "
                f"{len(dataset.classes)} classes; judge with the evaluation set of the run"
            )
        if (several := samples.longest("outputs")) not in (0, len(experiment.data.outputs)):
            raise DatasetError(
                f"the samples have the values of {several} outputs, [data.outputs] names "
                f"{len(experiment.data.outputs)}; judge with the experiment of the run"
            )
        evidence = Evidence.gather(experiment.load, samples, facts.load.duration_s)
        return cls(experiment, dataset, facts, evidence, samples)

    @property
    def alpha(self) -> float:
        """What lies outside of an interval, on each side."""
        return 1 - self.experiment.confidence

    def under(self, gates: Sequence[str]) -> Run:
        """The same run, to be judged by other gates.

        Raises:
            GateError: a gate does not parse.
        """
        parsed = tuple(Gate.parse(gate) for gate in gates)
        return replace(self, experiment=self.experiment.model_copy(update={"gates": parsed}))

    def until(self, seconds: float) -> Run:
        """What one of many analyses at it sees: the first ``seconds`` of load."""
        return replace(self, evidence=self.evidence.until(seconds))

    def between(self, begin: float, duration: float) -> Run:
        """The part from ``begin`` on for ``duration`` seconds of load, as a run of its own."""
        return replace(self, evidence=self.evidence.between(begin, duration))

    def slice(self, rows: Flags) -> Run:
        """Only the arrivals whose row is marked in ``rows``, shape (rows of the evaluation set,)."""
        return replace(self, evidence=self.evidence.slice(rows))


def rows_of_slice(gate: Gate, dataset: Dataset) -> Flags:
    """Which rows of the evaluation set a gate is about, shape (rows,)."""
    if gate.column is None:
        return np.ones(len(dataset), dtype=bool)
    return dataset.rows_where(gate.column, gate.value or "")
