"""The verdict and its parts: the content of ``verdict.json`` (schema 1)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from loadtest.errors import ExitCode
from loadtest.experiment.gate import GateExpression
from loadtest.experiment.role import Role


class Word(StrEnum):
    """The closed set of verdict words. A gate is never INVALID, a run can be."""

    PASS = "PASS"  # noqa: S105 - a verdict, no password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of ``loadproof compare`` for this verdict."""
        return ExitCode[self.name]


class Document(BaseModel):
    """A part of what is written: frozen, and without unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        serialize_by_alias=True,
        arbitrary_types_allowed=True,
    )


class GateResult(Document):
    """What one gate says of the candidate.

    ``estimate`` and ``interval`` are the difference that the gate is about (candidate minus stable, or its
    relative form), or the candidate's own value for an absolute gate; ``margin`` is the limit that the
    interval is held against, in the same ``unit`` and with its sign (-1 for ``accuracy >= stable - 1pp``).
    ``interval`` sides are None where unbounded. ``stable`` and ``candidate`` are the versions' own values, in
    ``value_unit``; for gates on quality they count each distinct row once. In JSON, ``name`` is the gate.
    """

    gate: GateExpression = Field(validation_alias=AliasChoices("gate", "name"), serialization_alias="name")
    verdict: Word
    stable: float | None
    candidate: float | None
    estimate: float | None
    interval: tuple[float | None, float | None]
    margin: float
    unit: str
    confidence: float
    reason: str

    @property
    def name(self) -> str:
        """The gate, as the person wrote it."""
        return str(self.gate)

    @property
    def value_unit(self) -> str:
        """The unit of ``stable`` and ``candidate``: ms where ``unit`` is % of a latency, say."""
        return self.gate.value_unit


class ControlGate(Document):
    """How far a second deployment of stable is from stable, as one gate measures it: noise, nothing else.

    ``estimate`` and ``interval`` are as in ``GateResult``, with the control in the candidate's place; None:
    not known. ``beyond``: the two are shown to differ by more than the gate's margin, in either direction.
    """

    gate: GateExpression = Field(validation_alias=AliasChoices("gate", "name"), serialization_alias="name")
    stable: float | None
    control: float | None
    estimate: float | None
    interval: tuple[float | None, float | None]
    unit: str
    beyond: bool = False

    @property
    def name(self) -> str:
        """The gate, as the person wrote it."""
        return str(self.gate)


class LatencySummary(Document):
    """Latency quantiles in milliseconds, from the intended send."""

    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p999: float | None
    max: float | None

    @classmethod
    def of(cls, quantiles: Mapping[str, float | None]) -> Self:
        """From quantiles in seconds."""
        return cls(**{name: None if value is None else 1000 * value for name, value in quantiles.items()})


class PartTime(Document):
    """How long one part of a request took, in milliseconds, over the ``requests`` that had it."""

    requests: int
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: NDArray[np.float64]) -> Self:
        """Of the requests' seconds, shape (requests,); at least one."""
        p50, p95, p99 = (1000 * np.quantile(seconds, (0.5, 0.95, 0.99))).tolist()
        return cls(requests=len(seconds), p50=p50, p95=p95, p99=p99)


class CacheSummary(Document):
    """How fast a version answers rows that it was asked before, first asks under load unless said otherwise.

    ``asked_before`` answers were to rows of the random half that was asked before the load, ``not_asked`` to
    others; ``repeats`` to rows that were sent before under load. Their latencies at ``quantile`` follow.
    ``times_as_fast`` and its ``interval`` (99%) compare the halves. ``seen``: answers look cached.
    """

    quantile: str
    asked_before: int
    not_asked: int
    repeats: int
    asked_before_ms: float | None
    not_asked_ms: float | None
    repeats_ms: float | None
    times_as_fast: float
    interval: tuple[float, float]
    seen: bool


class SlowRequest(Document):
    """One of the slowest requests of a version: when it was to be sent, in seconds since the run began, its
    latency from then on, and why it failed. ``trace_id`` is that of its ``traceparent``, None where it had
    none; ``timings_ms`` are the parts of its time that were recorded."""

    trace_id: str | None = None
    row: int
    scheduled_at_s: float
    latency_ms: float
    error: str | None = None
    timings_ms: dict[str, float] = {}


class VersionSummary(Document):
    """What one version did in the run. None: not known, never zero instead.

    Where requests have several rows, ``rows`` were sent in them: quality and ``mismatches`` count rows,
    everything else requests, and a request with one bad row is an error. ``compared`` answers were compared
    with the baseline answer to the row; ``mismatches`` of them differ, of which ``mismatch_ids`` are the
    first (``x-request-id``). Where requests carried a trace context, ``mismatch_traces`` are those of
    ``mismatch_ids``. The quantiles of ``latency_ms`` that ``latency_at_least`` names lie among requests
    without an answer in time: they are the time-out, or more. ``foreign_answers`` are no label of the
    evaluation set, such as ``foreign_examples``; None for a regression. ``errors_by_kind`` are the errors by
    their phrase, the most frequent first; ``not_answer_examples`` what came with status 200 and can be no
    answer to the task; ``warmup_errors`` came in the warm-up, which no gate counts. ``resent`` requests were
    sent once more, on a new connection, as the server had closed the kept-alive one before it answered.
    ``timings`` are the parts of a request's time, where they were recorded; ``slowest`` are the slowest
    requests, where their parts or traces are known. ``cache`` is None where too few rows were asked before
    the load, or too few others.
    """

    requests: int
    rows: int | None = None
    errors: int
    errors_by_kind: dict[str, int] = {}
    not_answer_examples: tuple[str, ...] = ()
    warmup_errors: int | None = None
    resent: int | None = None
    throughput_rps: float
    goodput_rps: float
    accuracy: float | None
    value_per_1000: float | None
    mismatches: int | None
    mismatch_ids: tuple[str, ...] = ()
    mismatch_traces: tuple[str, ...] = ()
    slowest: tuple[SlowRequest, ...] = ()
    compared: int | None = None
    foreign_answers: int | None = None
    foreign_examples: tuple[str, ...] = ()
    latency_ms: LatencySummary
    latency_at_least: tuple[str, ...] = ()
    timings: dict[str, PartTime] = {}
    cache: CacheSummary | None = None
    cpus: float | None
    cpu_throttled_ratio: float | None
    memory_bytes: int | None = None


class RowsSummary(Document):
    """The evaluation set: its rows, how many of them differ in features or label, and how many of those were
    sent. Intervals on quality count distinct rows. Whether answers are right is known of ``labelled`` rows
    alone."""

    rows: int
    distinct: int
    sent: int
    labelled: bool = True


class LoadSummary(Document):
    """What the generator did: rates in arrivals a second (each sends to both versions in duet traffic)."""

    offered_rps: float
    achieved_rps: float
    schedule_lag_ms_p99: float | None
    duration_s: float


class PhaseVersion(Document):
    """What one version did in one phase, as ``VersionSummary`` says of the whole run."""

    requests: int
    errors: int
    latency_ms: LatencySummary
    latency_at_least: tuple[str, ...] = ()


class PhaseSummary(Document):
    """One phase of the load, or what the run saw of it.

    ``rate`` is in arrivals a second at its start, ``to`` at its end. ``offered_rps`` is the mean rate that
    was asked for, ``achieved_rps`` what the samples show: arrivals are random, n of them scatter by the root
    of n. ``begins_s`` counts from the first arrival of the run.
    """

    name: str
    begins_s: float
    duration_s: float
    rate: float
    to: float
    offered_rps: float
    achieved_rps: float
    versions: dict[Role, PhaseVersion]


class WorseSlice(Document):
    """A slice of the rows on which the candidate is worse than stable, and than elsewhere.

    ``stable`` and ``candidate`` are the versions' own values of ``metric`` there. Of ``rows``
    distinct rows the candidate does worse on ``worse`` and better on ``better``. ``chance``: at most this
    share of searches finds such a slice where the versions are equal.
    """

    name: str
    rows: int
    stable: float
    candidate: float
    worse: int
    better: int
    chance: float
    metric: str = "accuracy"


class SliceSearch(Document):
    """Where the candidate is worse: ``found``, and ``more``, among ``slices`` of so many distinct ``rows``.

    It changes no verdict. ``metrics`` were searched, ``metric`` is the first; ``missing``: by another one's
    name, why it was not. ``skipped``: why nothing was searched, or empty."""

    metric: str = "accuracy"
    metrics: tuple[str, ...] = ()
    slices: int = 0
    rows: int = 0
    found: tuple[WorseSlice, ...] = ()
    more: int = 0
    missing: dict[str, str] = Field(default_factory=dict)
    skipped: str = ""


class Verdict(Document):
    """The answer to one question: may the candidate go live?

    ``decided_after_s``: seconds of load after which a run that was to end as soon as it is decided was; None
    where it was not, and for any other run. ``samples_sha256`` is of the sample file that was judged.
    ``phases``: results by phase, none at a constant rate; the gates are about the whole run.
    ``control``: of a run with one, each gate for control against stable; ``versions`` then has it too.
    ``worse_slices``: a finding that changes no verdict; None where it was not searched for.
    """

    schema_: Literal[1] = Field(default=1, alias="schema")
    verdict: Word
    reason: str
    experiment: str
    backend: str
    decided_after_s: float | None = None
    gates: tuple[GateResult, ...]
    control: tuple[ControlGate, ...] = ()
    versions: dict[Role, VersionSummary]
    rows: RowsSummary | None = None
    samples_sha256: str | None = None
    worse_slices: SliceSearch | None = None
    load: LoadSummary
    phases: tuple[PhaseSummary, ...] = ()
