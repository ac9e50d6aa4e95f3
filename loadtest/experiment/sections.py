"""The parts of an experiment: one small frozen object a table of its TOML file, unknown keys are errors.

The docstrings of the keys are their reference: ``make docs`` writes docs/experiments.md from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from contract.faults import MAX_DELAY, SERVER_FAULTS, ServerFault
from loadtest.experiment.gate import Gate, GateExpression
from loadtest.experiment.role import Role
from loadtest.experiment.units import Bytes, Cpus, PositiveSeconds, Rates, Seconds, seconds

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class Part(BaseModel):
    """What every part is."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class Model(Part):
    """Which model, and where its versions lie: ``Model(name="shop", folder="models/shop")``."""

    name: str = Field(pattern=NAME)
    """What the versions' `model.toml` call it, and the path of its requests."""
    folder: Path
    """The versions are the folders in it."""
    trainer: str | None = None
    """The demo that is trained into `folder` where it is absent."""


class Data(Part):
    """The labelled evaluation set: ``Data(path="models/shop/evaluation.parquet", label="bought")``."""

    path: Path
    """CSV, Parquet or JSON, one object per row; also as `.gz`."""
    label: str = "label"
    """The column that says what truly happened."""
    value: str | None = None
    """The column that says what a row's sale earned, for the gate `value`."""
    features: tuple[str, ...] = ()
    """The columns that are sent, in the model's order. Empty: every numeric column but the label and the
    value; other columns serve as slices."""
    task: Literal["classification", "regression"] = "classification"
    """Whether answers are right or wrong, or off by something."""


class Versions(Part):
    """The two versions that a run compares: ``Versions(stable="v1", candidate="v2")``."""

    stable: str = "v1"
    """The version in production: a folder in `[model] folder`, a path, or `image:NAME` on Compose."""
    candidate: str = "v2"
    """The version that wants to be."""


class Load(Part):
    """The traffic: ``Load(rate=50, duration="60s")`` is Poisson arrivals at 50 a second."""

    traffic: Literal["duet", "canary", "shadow", "stable", "candidate"] = "duet"
    """`duet`: each arrival sends its row to both versions. `canary` and `shadow`: an arrival is a user's, and
    the gateway chooses whom it goes to. `stable`, `candidate`: to that version alone."""
    rate: float = Field(default=50.0, gt=0)
    """Arrivals a second."""
    rates: Rates = ()
    """Several rates in turn, instead of `rate`."""
    duration: PositiveSeconds = 60.0
    """Length of the measured load."""
    until_decided: bool = False
    """End as soon as the verdict is certain, allowing for the many analyses; `duration` at the latest."""
    restarts: int = Field(default=1, ge=1)
    """Deploy both versions anew so many times; the differences between deployments decide."""
    warmup: Seconds = 5.0
    """Load before the measured one, which is not counted."""
    baseline: Seconds | None = None
    """Before any load each version answers every row once, without load, for at most so long; 0: not at all.
    Without it: half of `duration`."""
    timeout: PositiveSeconds = 2.0
    """An answer that takes longer is an error, and wrong."""
    max_lag: PositiveSeconds = 0.05
    """A run whose generator is later than this, at the 99th percentile, is INVALID."""
    seed: int = Field(default=1, ge=0)
    """The same seed gives the same arrivals and rows."""
    workers: int = Field(default=1, ge=1)
    """Processes of the load generator."""
    users: int = Field(default=10_000, ge=1)
    """In `canary` and `shadow` traffic: how many there are."""
    feedback_delay: Seconds = 5.0
    """In `canary` and `shadow` traffic: after how long, on average, a user reports what truly happened."""

    @property
    def baseline_time(self) -> float:
        """Seconds that asking for baseline answers may take."""
        return self.duration / 2 if self.baseline is None else self.baseline


class Limits(Part):
    """What each version gets, equal for both: ``Limits(cpus=0.25, memory="512m")``."""

    cpus: Cpus = 0.25
    """CPU limit in cores; 0: none."""
    memory: Bytes = 512 * 2**20
    """Memory limit, such as `512m`; 0: none."""


class Fault(Part):
    """A failure that the lab injects, to see what a canary does about it.

    ``Fault(at="20s", kind="failing", share=0.5)``: twenty seconds after the load began, the candidate answers
    500 to half of its requests.
    """

    kind: Literal["killed", "paused", ServerFault]
    """`killed` and `paused` befall the whole version; the others a share of what it is asked, which
    Loadproof's own model server can do on demand."""
    at: Seconds = 0.0
    """When, after the load began."""
    lasts: Seconds = 0.0
    """For how long; 0: until the end."""
    role: Role = Role.CANDIDATE
    """Whom it befalls."""
    share: float = Field(default=1.0, gt=0, le=1)
    """Of `slowed`, `wrong`, `failing`: the share of requests."""
    delay: Annotated[float, BeforeValidator(seconds), Field(ge=0, le=MAX_DELAY)] = 0.0
    """Of `slowed`: by how much."""

    @property
    def by_server(self) -> bool:
        """Whether the model server itself misbehaves; else the lab does it to its process."""
        return self.kind in SERVER_FAULTS


class Objective(Part):
    """What a good answer is, for goodput: ``Objective(latency="250ms")``."""

    latency: PositiveSeconds = 0.25
    """A good answer is correct, and not later than this."""


class Capacity(Part):
    """How `loadproof capacity` finds the highest rate: ``Capacity(latency="100ms")``."""

    latency: PositiveSeconds = 0.1
    """The objective: the `quantile` of latency stays within it."""
    quantile: float = Field(default=0.99, ge=0.5, lt=1)
    """See `latency`."""
    error_rate: float = Field(default=0.001, gt=0, lt=1)
    """The objective: no larger share of errors than this."""
    trial: PositiveSeconds = 6.0
    """A trial lasts so long at least."""
    requests: int = Field(default=400, ge=50)
    """A trial sends so many requests at least."""
    start: float = Field(default=50.0, gt=0)
    """The rate of the first trial."""
    precision: float = Field(default=0.07, gt=0, lt=1)
    """The search ends when the interval's half width is below this share."""
    trials: int = Field(default=30, ge=4)
    """The search ends after so many trials of a version at the latest."""
    gates: tuple[GateExpression, ...] = ()
    """What the capacity must be, such as `capacity >= stable - 5%`."""


DEFAULT_ROLLBACK = ("error_rate <= stable", "accuracy >= stable", "p99 <= 250ms")


class Canary(Part):
    """How the candidate is let into live traffic, and what takes it out: ``Canary(steps=(10, 50, 100))``.

    The experiment's ``gates`` are what must be *shown* before everybody gets the candidate; ``rollback`` are
    gates of which a *refutation* takes it out.
    """

    shadow: Seconds = 0.0
    """For so long before the first split it is sent a copy of the traffic; 0: not at all."""
    steps: tuple[Annotated[float, Field(gt=0, le=100)], ...] = Field(
        default=(1, 5, 10, 25, 50, 100), min_length=1
    )
    """The splits in percent, ascending; the last is 100."""
    rollback: tuple[GateExpression, ...] = Field(
        default=tuple(Gate.parse(g) for g in DEFAULT_ROLLBACK), min_length=1
    )
    """Roll back as soon as one of these is refuted; `<= stable` allows no harm that can be seen."""
    answers: int = Field(default=20, ge=1)
    """The candidate's answers that every step needs at least."""
    window: PositiveSeconds = 10.0
    """One window of latency, and of errors in bursts."""
    alarms: int = Field(default=2, ge=1)
    """The first sign of harm takes the split to 0 before it is beyond doubt; the last of so many is final."""
    pause: Seconds = 10.0
    """So long after an alarm the candidate begins anew, on fresh evidence."""
    timeout: PositiveSeconds = 1.0
    """In this time a version must answer a health check, and show its metrics."""
    misses: int = Field(default=2, ge=1)
    """Health checks in a row that the candidate may not pass until it is rolled back."""
    missing: PositiveSeconds = 3.0
    """So long without metrics rolls back."""
    settle: Seconds = 10.0
    """So long at 100% before the candidate becomes the new stable."""
    hold: PositiveSeconds = 600.0
    """So long a step may take; then `undecided` says what happens."""
    undecided: Literal["rollback", "stay"] = "rollback"
    """`rollback`, or `stay` at the split that was reached."""

    @field_validator("steps")
    @classmethod
    def _ascend_to_all(cls, steps: tuple[float, ...]) -> tuple[float, ...]:
        if list(steps) != sorted(set(steps)) or steps[-1] != 100:
            raise ValueError("the steps ascend, and the last is 100, as in [1, 10, 50, 100]")
        return steps
