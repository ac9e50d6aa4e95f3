"""Experiments: what is measured, of which versions, under which load, and what the candidate must meet.

An experiment is a TOML file (see ``loadtest/experiments``); each part of it is one small frozen object
here, whose docstring shows it in use. Unknown keys are errors. Gate expressions are parsed here, before
any load::

    experiment = Experiment.load_file("compare", {"load": {"rate": 100}})
    experiment.load.rate, experiment.gates[0].metric
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
)

from loadtest.errors import ExperimentError, GateError
from loadtest.gates import Gate
from loadtest.quantities import Bytes, Cpus, PositiveSeconds, Rates, Seconds, seconds
from loadtest.target import Target

EXPERIMENTS = Path(__file__).parent / "experiments"

GateExpression = Annotated[
    Gate, BeforeValidator(lambda g: Gate.parse(g) if isinstance(g, str) else g), PlainSerializer(str)
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Model(_Part):
    """Which model, and where its versions lie.

    ``Model(name="shop", folder="models/shop", trainer="shop")``: versions are the folders below
    ``folder``; ``trainer`` names the demo that ``services.trainer`` makes when the folder is absent.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    folder: Path
    trainer: str | None = None


class Data(_Part):
    """The labelled evaluation set.

    ``Data(path="models/shop/evaluation.parquet", label="bought", value="value")``: without ``features``
    every numeric column but the label and the value is a feature; other columns serve as slices.
    """

    path: Path
    label: str = "label"
    value: str | None = None
    features: tuple[str, ...] = ()
    task: Literal["classification", "regression"] = "classification"


class Versions(_Part):
    """The two versions that a run compares: names of folders below ``Model.folder``, or paths of folders."""

    stable: str = "v1"
    candidate: str = "v2"


class Load(_Part):
    """The traffic.

    ``Load(rate=50, duration="60s")``: Poisson arrivals at 50 a second; in ``duet`` traffic each arrival
    sends its row to both versions. ``warmup`` is sent before and not counted. Before that, each version
    answers every row of the load once, alone, for at most ``references`` (without it: half of ``duration``;
    0: not at all). A run whose generator is later than ``max_lag`` at the 99th percentile is INVALID. In
    ``canary`` and ``shadow`` traffic an arrival is one of ``users``, sends its row once, to whom the gateway
    chooses, and reports what truly happened after ``feedback_delay`` on average; ``stable`` and ``candidate``
    traffic goes to that version alone. With ``until_decided`` the run ends once it is certain of its verdict,
    ``duration`` at the latest, allowing for the many looks. With ``restarts`` both versions are deployed anew
    for each, whose differences decide. ``rates``: at several rates in turn, instead of at ``rate``.
    """

    traffic: Literal["duet", "canary", "shadow", "stable", "candidate"] = "duet"
    rate: float = Field(default=50.0, gt=0)
    rates: Rates = ()
    duration: PositiveSeconds = 60.0
    until_decided: bool = False
    restarts: int = Field(default=1, ge=1)
    warmup: Seconds = 5.0
    references: Seconds | None = None
    timeout: PositiveSeconds = 2.0
    max_lag: PositiveSeconds = 0.05
    seed: int = Field(default=1, ge=0)
    workers: int = Field(default=1, ge=1)
    users: int = Field(default=10_000, ge=1)
    feedback_delay: Seconds = 5.0

    @property
    def reference_time(self) -> float:
        """Seconds that asking for references may take."""
        return self.duration / 2 if self.references is None else self.references


class Limits(_Part):
    """What each version gets, equal for both: ``Limits(cpus=0.25, memory="512m")``; 0: no limit."""

    cpus: Cpus = 0.25
    memory: Bytes = 512 * 2**20


class Fault(_Part):
    """A failure that the lab injects, to see what a canary does about it.

    ``Fault(at="20s", kind="failing", share=0.5)``: twenty seconds after the load began, the candidate answers
    500 to half of its requests. ``killed`` and ``paused`` befall the whole version; ``slowed`` by ``delay``,
    ``wrong`` and ``failing`` a share of what it is asked, which our own model server can do on demand.
    ``lasts`` 0: until the end.
    """

    kind: Literal["killed", "paused", "slowed", "wrong", "failing"]
    at: Seconds = 0.0
    lasts: Seconds = 0.0
    role: Literal["stable", "candidate"] = "candidate"
    share: float = Field(default=1.0, gt=0, le=1)
    delay: Annotated[float, BeforeValidator(seconds), Field(ge=0, le=60)] = 0.0

    @property
    def by_server(self) -> bool:
        """Whether the model server itself misbehaves; else the lab does it to its process."""
        return self.kind in ("slowed", "wrong", "failing")


class Objective(_Part):
    """What a good answer is, for goodput: ``Objective(latency="250ms")``."""

    latency: PositiveSeconds = 0.25


class Capacity(_Part):
    """How capacity is found (docs/capacity.md): ``Capacity(latency="100ms", gates=["capacity >= 90/s"])``."""

    latency: PositiveSeconds = 0.1
    quantile: float = Field(default=0.99, ge=0.5, lt=1)
    error_rate: float = Field(default=0.001, gt=0, lt=1)
    trial: PositiveSeconds = 6.0
    requests: int = Field(default=400, ge=50)
    start: float = Field(default=50.0, gt=0)
    precision: float = Field(default=0.07, gt=0, lt=1)
    trials: int = Field(default=30, ge=4)
    gates: tuple[GateExpression, ...] = ()


DEFAULT_GATES = (
    "error_rate <= stable + 0.5pp",
    "p50 <= stable + 25ms",
    "p99 <= 250ms",
    "accuracy >= stable - 1pp",
    "unfaithful == 0",
)
DEFAULT_REGRESSION_GATES = ("mae <= stable + 2%", *(g for g in DEFAULT_GATES if "accuracy" not in g))
"""What an experiment that names no gates demands."""
DEFAULT_ROLLBACK = ("error_rate <= stable", "accuracy >= stable", "p99 <= 250ms")


class Canary(_Part):
    """How the candidate is let into live traffic, and what takes it out again (`loadproof canary auto`).

    ``Canary(steps=(10, 50, 100))``. The experiment's ``gates`` are what must be *shown* before everybody gets
    the candidate; ``rollback`` are gates of which a *refutation* takes it out.

    Args:
        shadow: seconds before the first split in which it is sent a copy of the traffic; 0: none.
        steps: the splits in percent, ascending; the last is 100.
        rollback: roll back as soon as one of these is refuted; ``<= stable`` allows no harm that can be seen.
        answers: the candidate's answers that every step needs at least.
        window: seconds of one window of latency and of errors in bursts.
        alarms, pause: the first sign of harm takes the split to 0, before it is beyond doubt; ``pause``
            seconds later the candidate begins anew, on fresh evidence. Alarm number ``alarms`` is final.
        timeout: seconds in which a version must answer a health check and show its metrics.
        misses: health checks in a row that the candidate may not pass until it is rolled back.
        missing: seconds without metrics that roll back.
        settle: seconds at 100% before the candidate becomes the new stable.
        hold: seconds that a step may take; then ``undecided`` says what happens.
        undecided: ``rollback``, or ``stay`` at the split that was reached.
    """

    shadow: Seconds = 0.0
    steps: tuple[Annotated[float, Field(gt=0, le=100)], ...] = Field(
        default=(1, 5, 10, 25, 50, 100), min_length=1
    )
    rollback: tuple[GateExpression, ...] = Field(
        default=tuple(Gate.parse(g) for g in DEFAULT_ROLLBACK), min_length=1
    )
    answers: int = Field(default=20, ge=1)
    window: PositiveSeconds = 10.0
    alarms: int = Field(default=2, ge=1)
    pause: Seconds = 10.0
    timeout: PositiveSeconds = 1.0
    misses: int = Field(default=2, ge=1)
    missing: PositiveSeconds = 3.0
    settle: Seconds = 10.0
    hold: PositiveSeconds = 600.0
    undecided: Literal["rollback", "stay"] = "rollback"

    @field_validator("steps")
    @classmethod
    def _ascend_to_all(cls, steps: tuple[float, ...]) -> tuple[float, ...]:
        if list(steps) != sorted(set(steps)) or steps[-1] != 100:
            raise ValueError("the steps ascend, and the last is 100, as in [1, 10, 50, 100]")
        return steps


def _default_gates(given: dict[str, Any]) -> tuple[Gate, ...]:
    data = given.get("data")  # absent where it does not validate itself
    regression = isinstance(data, Data) and data.task == "regression"
    return tuple(map(Gate.parse, DEFAULT_REGRESSION_GATES if regression else DEFAULT_GATES))


class Experiment(_Part):
    """A whole experiment, resolved: ``Experiment.load_file("compare", {"load": {"rate": 100}})``."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str = ""
    model: Model
    data: Data
    versions: Versions = Versions()
    target: Target | None = None
    load: Load = Load()
    limits: Limits = Limits()
    objective: Objective = Objective()
    faults: tuple[Fault, ...] = ()
    canary: Canary = Canary()
    capacity: Capacity = Capacity()
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    gates: tuple[GateExpression, ...] = Field(default_factory=_default_gates, min_length=1)

    @classmethod
    def load_file(
        cls, name: str, overrides: dict[str, dict[str, Any]] | None = None, gates: Sequence[str] = ()
    ) -> Experiment:
        """Read an experiment by the name of a bundled one, or by path, and lay ``overrides`` over it.

        Args:
            name: ``compare`` (a file in ``loadtest/experiments``) or ``path/to/mine.toml``.
            overrides: ``{"load": {"rate": 100}}``; None values are ignored.
            gates: gate expressions instead of the file's.

        Raises:
            ExperimentError: it cannot be read or does not make sense.
            GateError: a gate expression does not parse.
        """
        path = _find(name)
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ExperimentError(f"{path}: not readable as TOML ({error})") from error
        for part, values in (overrides or {}).items():
            raw[part] = {**raw.get(part, {}), **{k: v for k, v in values.items() if v is not None}}
        return cls.parse(raw | ({"gates": list(gates)} if gates else {}), source=str(path))

    @classmethod
    def parse(cls, raw: dict[str, Any], source: str) -> Experiment:
        """Validate a TOML document; ``source`` names it in messages."""
        try:
            return cls.model_validate(raw)
        except GateError as error:
            raise GateError(f"{source}: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            message = first["msg"].removeprefix("Value error, ")
            raise ExperimentError(f"{source}: {where}: {message}") from error

    def with_absolute_data(self) -> Experiment:
        """The same experiment, fit to be read from another folder."""
        data = self.data.model_copy(update={"path": self.data.path.absolute()})
        return self.model_copy(update={"data": data})

    def at_rate(self, rate: float) -> Experiment:
        """The same experiment at one rate."""
        return self.model_copy(update={"load": self.load.model_copy(update={"rate": rate, "rates": ()})})

    def to_toml(self) -> str:
        """The resolved experiment, as TOML that ``load_file`` reads back to an equal object."""
        return tomli_w.dumps(_without_none(self.model_dump(mode="json")))


def _without_none(part: dict[str, Any]) -> dict[str, Any]:
    return {k: _without_none(v) if isinstance(v, dict) else v for k, v in part.items() if v is not None}


def _find(name: str) -> Path:
    if name.endswith(".toml"):
        if not Path(name).is_file():
            raise ExperimentError(f"{name}: no such experiment file")
        return Path(name)
    path = EXPERIMENTS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in EXPERIMENTS.glob("*.toml")))
        raise ExperimentError(f"no experiment {name!r}; there are {known}, or give the path of a .toml file")
    return path
