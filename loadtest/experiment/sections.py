"""The parts of an experiment: one small frozen object per table of its TOML file. Unknown keys are errors.

The docstrings of the keys document them: ``make docs`` writes docs/experiments.md from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from contract.faults import MAX_DELAY, SERVER_FAULTS, ServerFault
from loadtest.experiment.gate import Gate, GateExpression
from loadtest.experiment.part import Part
from loadtest.experiment.role import ROLES, Role
from loadtest.experiment.units import Bytes, Cpus, PositiveSeconds, Seconds, seconds

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class Model(Part):
    """The model, and where its versions are: ``Model(name="shop", folder="models/shop")``."""

    name: str = Field(pattern=NAME)
    """The name in each version's `model.toml`, and in the path of its requests."""
    folder: Path = Field(default_factory=lambda given: Path("models", given.get("name", "NAME")))
    """The folder of the versions, one folder each. Without a lab it is not read."""
    trainer: str | None = None
    """The demo to train into `folder` if the folder does not exist."""


class Data(Part):
    """The evaluation set: ``Data(path="models/shop/evaluation.parquet", label="bought")``."""

    path: Path
    """CSV, Parquet or JSON, one object per row; also as `.gz`."""
    label: str | None = None
    """The column of the true outcome. If absent: that of the first of `outputs`, else `label`. A file without
    such a column has no labels: only gates that need none can be judged, such as `agreement`."""
    outputs: dict[str, str] = Field(default_factory=dict)
    """Of a regression that gives several values per row, those to compare: the output's name and the column
    of its true value. Several outputs may share a column, such as quantiles of one outcome. A server that
    does not name its values has them under their places, from `0`."""
    value: str | None = None
    """The column of what a right answer to the row earns, for the gate `value`."""
    features: tuple[str, ...] = ()
    """The columns to send. Empty: those that the versions name, else every numeric column except the label
    and the value. All columns serve as slices."""
    classes: tuple[str, ...] = ()
    """The labels in the order in which the versions give scores, of two the positive one last. Empty: as the
    versions name them."""
    threshold: float | None = None
    """Of two classes, an answer is the positive one where its score is at least this, for both versions and
    whatever label they answer. If absent: the versions' own labels."""
    task: Literal["classification", "regression", "ranking"] = "classification"
    """`classification`: an answer is right or wrong. `regression`: it is off by some amount. `ranking`: it
    is a list of items, the best first, and the label is an item or several."""
    repeats: Literal["allow", "forbid"] = "allow"
    """`forbid`: no row is sent twice under load or asked before it, so that no cache can answer. Refused if
    the evaluation set has too few distinct rows. All baseline answers are then asked for after the load."""

    @model_validator(mode="after")
    def _threshold_makes_labels(self) -> Data:
        if self.threshold is not None and self.task == "regression":
            raise ValueError("a threshold makes labels of scores, and a regression has none; leave it out")
        return self

    @model_validator(mode="after")
    def _outputs_are_numbers(self) -> Data:
        if self.outputs and self.task != "regression":
            raise ValueError(
                'outputs are the values of a regression; set task = "regression", or leave them out'
            )
        return self

    @model_validator(mode="after")
    def _no_model_is_sent_the_label(self) -> Data:
        told = {self.label_column, *self.outputs.values()}
        if name := next((name for name in self.features if name in told), None):
            raise ValueError(f"features must not name {name!r}, the label, which no model knows")
        return self

    @property
    def label_column(self) -> str:
        """The name of the label column, if there is one."""
        return self.label or next(iter(self.outputs.values()), "label")

    @property
    def outcome_columns(self) -> tuple[str, ...]:
        """The columns that say what became of a row, which no model is sent."""
        return tuple(
            dict.fromkeys([self.label_column, *self.outputs.values(), *([self.value] if self.value else [])])
        )


class Versions(Part):
    """The two versions that a run compares: ``Versions(stable="v1", candidate="v2")``."""

    stable: str = "v1"
    """The version in production: a folder in `[model] folder`, a path, or `image:NAME` on Compose."""
    candidate: str = "v2"
    """The version to replace it, named in the same way."""


class Limits(Part):
    """The limits of each version, the same for both: ``Limits(cpus=0.25, memory="512m")``."""

    cpus: Cpus = 0.25
    """CPU limit in cores; 0: no limit."""
    memory: Bytes = 512 * 2**20
    """Memory limit, such as `512m`; 0: no limit."""


class Fault(Part):
    """A fault to inject, to see how a canary reacts.

    ``Fault(at="20s", kind="failing", share=0.5)``: twenty seconds after the load began, the candidate answers
    500 to half of its requests.
    """

    kind: Literal["killed", "paused", ServerFault]
    """`killed` and `paused` hit the whole version. `slowed`, `wrong` and `failing` hit a share of its
    requests; Loadproof's own model server injects them on demand."""
    at: Seconds = 0.0
    """How long after the start of the load."""
    lasts: Seconds = 0.0
    """How long it lasts; 0: until the end."""
    role: Role = Role.CANDIDATE
    """The role to inject the fault into."""
    share: float = Field(default=1.0, gt=0, le=1)
    """The share of requests that `slowed`, `wrong` or `failing` hits."""
    delay: Annotated[float, BeforeValidator(seconds), Field(ge=0, le=MAX_DELAY)] = 0.0
    """How much `slowed` delays an answer."""

    @field_validator("role")
    @classmethod
    def _is_compared(cls, role: Role) -> Role:
        if role not in ROLES:
            raise ValueError(f"a fault is for {' or '.join(ROLES)}")
        return role

    @property
    def by_server(self) -> bool:
        """Whether the model server itself misbehaves; else the lab does it to its process."""
        return self.kind in SERVER_FAULTS


class Objective(Part):
    """What counts as a good answer, for goodput: ``Objective(latency="250ms")``."""

    latency: PositiveSeconds = 0.25
    """A good answer is correct and takes at most this long."""


class Capacity(Part):
    """How `loadproof capacity` finds the highest rate: ``Capacity(latency="100ms")``."""

    latency: PositiveSeconds = 0.1
    """The latency objective: `quantile` of the latency is at most this."""
    quantile: float = Field(default=0.99, ge=0.5, lt=1)
    """The quantile that `latency` bounds."""
    error_rate: float = Field(default=0.001, gt=0, lt=1)
    """The error objective: the largest share of errors."""
    trial: PositiveSeconds = 6.0
    """The minimum length of a trial."""
    requests: int = Field(default=400, ge=50)
    """The minimum number of requests per trial."""
    start: float = Field(default=50.0, gt=0)
    """The rate of the first trial."""
    precision: float = Field(default=0.07, gt=0, lt=1)
    """The search ends when the relative half-width of the interval is below this."""
    trials: int = Field(default=30, ge=4)
    """The most trials per version."""
    gates: tuple[GateExpression, ...] = ()
    """What the capacity must meet, such as `capacity >= stable - 5%`."""


DEFAULT_ROLLBACK = ("error_rate <= stable", "accuracy >= stable", "p99 <= 250ms")


class Canary(Part):
    """How the candidate enters live traffic, and what takes it out: ``Canary(steps=(10, 50, 100))``.

    The experiment's ``gates`` must be *shown to hold* before every user gets the candidate. The candidate is
    rolled back when one of the ``rollback`` gates is *shown not to hold*.
    """

    shadow: Seconds = 0.0
    """How long the candidate gets a copy of the traffic before the first step; 0: no shadow."""
    steps: tuple[Annotated[float, Field(gt=0, le=100)], ...] = Field(
        default=(1, 5, 10, 25, 50, 100), min_length=1
    )
    """The splits in percent, in ascending order; the last is 100."""
    rollback: tuple[GateExpression, ...] = Field(
        default=tuple(Gate.parse(g) for g in DEFAULT_ROLLBACK), min_length=1
    )
    """Roll back as soon as one of these is shown not to hold; `<= stable` tolerates no detectable harm."""
    answers: int = Field(default=20, ge=1)
    """The fewest answers of the candidate per step."""
    window: PositiveSeconds = 10.0
    """The length of a window of latency, and of errors in bursts."""
    alarms: int = Field(default=2, ge=1)
    """How many alarms end in a rollback. Each earlier one takes the split to 0 for `pause`."""
    pause: Seconds = 10.0
    """How long after an alarm the candidate restarts at the first step, on fresh evidence."""
    timeout: PositiveSeconds = 1.0
    """How long a version may take to answer a health check or a scrape of its metrics."""
    misses: int = Field(default=2, ge=1)
    """How many health checks in a row the candidate fails before it is rolled back."""
    missing: PositiveSeconds = 3.0
    """Roll back after this long without metrics."""
    settle: Seconds = 10.0
    """How long the candidate stays at 100% before it becomes the new stable."""
    hold: PositiveSeconds = 600.0
    """The longest that a step may take; then `undecided` applies."""
    fallback: bool = False
    """With a share of its own, the candidate also answers what stable fails at, or not within a second."""
    undecided: Literal["rollback", "stay"] = "rollback"
    """After `hold`: roll back, or stay at the split that was reached."""

    @field_validator("steps")
    @classmethod
    def _ascend_to_all(cls, steps: tuple[float, ...]) -> tuple[float, ...]:
        if list(steps) != sorted(set(steps)) or steps[-1] != 100:
            raise ValueError("the steps ascend, and the last is 100, as in [1, 10, 50, 100]")
        return steps
