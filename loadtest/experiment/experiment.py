"""Experiments: what is measured, of which versions, under which load, and what the candidate must meet.

An experiment is a TOML file (see ``loadtest/experiment/bundled``) of the sections in
``loadtest.experiment.sections``. Unknown keys are errors. Gate expressions are parsed before any load::

    experiment = Experiment.load_file("compare", {"load": {"rate": 100}})
    experiment.load.rate, experiment.gates[0].metric
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Self

import tomli_w
from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from loadtest.errors import ExperimentError, GateError
from loadtest.experiment.gate import Gate, GateExpression
from loadtest.experiment.load import SHAPES, Load, Phase
from loadtest.experiment.part import Part
from loadtest.experiment.role import Role
from loadtest.experiment.sections import (
    NAME,
    Canary,
    Capacity,
    Data,
    Fault,
    Limits,
    Model,
    Objective,
    Versions,
)
from loadtest.experiment.target import Target

__all__ = [
    "EXPERIMENTS",
    "Canary",
    "Capacity",
    "Data",
    "Experiment",
    "Fault",
    "Limits",
    "Load",
    "Model",
    "Objective",
    "Phase",
    "Target",
    "Versions",
]

EXPERIMENTS = Path(__file__).parent / "bundled"

DEFAULT_GATES = (
    "error_rate <= stable + 0.5pp",
    "p50 <= stable + 25ms",
    "p99 <= 250ms",
    "accuracy >= stable - 1pp",
    "mismatches == 0",
)
DEFAULT_REGRESSION_GATES = ("mae <= stable + 2%", *(g for g in DEFAULT_GATES if "accuracy" not in g))
DEFAULT_RANKING_GATES = ("ndcg@10 >= stable - 0.01", *DEFAULT_REGRESSION_GATES[1:])
"""What an experiment that names no gates demands."""
UNLABELLED_GATES = ("agreement >= 99.5%", *(g for g in DEFAULT_GATES if "accuracy" not in g))
"""What ``loadproof init`` writes where there are no labels."""


def _default_gates(given: dict[str, Any]) -> tuple[Gate, ...]:
    data = given.get("data")  # absent where it does not validate itself
    by_task = {"regression": DEFAULT_REGRESSION_GATES, "ranking": DEFAULT_RANKING_GATES}
    task = data.task if isinstance(data, Data) else "classification"
    return tuple(map(Gate.parse, by_task.get(task, DEFAULT_GATES)))


class Experiment(Part):
    """A whole experiment, resolved: ``Experiment.load_file("compare", {"load": {"rate": 100}})``."""

    name: str = Field(pattern=NAME)
    """Names the run folder."""
    description: str = ""
    """What it asks, for the report."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Of every interval and verdict."""
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
    # after the data, whose task decides which there are by default
    gates: tuple[GateExpression, ...] = Field(default_factory=_default_gates, min_length=1)
    """What the candidate must meet; see Gates."""

    @classmethod
    def load_file(
        cls, name: str, overrides: dict[str, dict[str, Any]] | None = None, gates: Sequence[str] = ()
    ) -> Experiment:
        """Read an experiment by the name of a bundled one, or by path, and lay ``overrides`` over it.

        Args:
            name: ``compare`` (a file in ``loadtest/experiment/bundled``) or ``path/to/mine.toml``.
            overrides: ``{"load": {"rate": 100}}``; None values are ignored.
            gates: gate expressions instead of the file's.

        Raises:
            ExperimentError: it cannot be read or does not make sense.
            GateError: a gate expression does not parse.
        """
        path = _find(name)
        try:
            # an editor on Windows may have put a byte order mark before it
            raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ExperimentError(f"{path}: not readable as TOML ({error})") from error
        options = set()
        for part, values in (overrides or {}).items():
            given = {key: value for key, value in values.items() if value is not None}
            options |= {(part, key) for key in given}
            if given and isinstance(raw.setdefault(part, {}), dict):  # what is no table is refused below
                # a log that is named on the command line stands for the file's own rate
                gone = SHAPES if "replay" in given else ()
                raw[part] = {key: value for key, value in raw[part].items() if key not in gone} | given
        raw |= {"gates": list(gates)} if gates else {}
        return cls.parse(raw, source=str(path), options=options, gates=gates)

    @classmethod
    def parse(
        cls,
        raw: dict[str, Any],
        source: str,
        options: Collection[tuple[str, str]] = (),
        gates: Sequence[str] = (),
    ) -> Experiment:
        """Validate a TOML document; ``source`` names it in messages, unless an option or gate is at fault."""
        try:
            return cls.model_validate(raw)
        except GateError as error:
            blamed = "--gate" if any(repr(gate) in str(error) for gate in gates) else source
            raise GateError(f"{blamed}: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            blamed = "on the command line" if first["loc"][:2] in options else source
            raise ExperimentError(f"{blamed}: {_in_words(first)}") from error

    @model_validator(mode="after")
    def _control_has_its_server(self) -> Self:
        if self.target is not None and (self.target.control is not None) != self.load.control:
            raise ValueError(
                "[load] control = true and [target] control, the URL of a second server of stable, "
                "go together; give both or neither"
            )
        return self

    @model_validator(mode="after")
    def _several_rows_have_one_value_each(self) -> Self:
        if self.data.outputs and self.load.most_rows > 1:
            raise ValueError(
                "[load] rows_per_request does not go with [data.outputs]: of several rows in a request one "
                "value each is read; leave one of them out"
            )
        return self

    @property
    def roles(self) -> tuple[Role, ...]:
        """Who gets the rows: stable, candidate, and control where there is one."""
        return self.load.roles

    @property
    def scored(self) -> bool:
        """Whether a gate, or the threshold, needs the scores of answers beside their labels."""
        if self.data.task == "regression":
            return False
        return self.data.threshold is not None or any(map(self.needs_scores, self.gates))

    def needs_scores(self, gate: Gate) -> bool:
        """Whether a gate needs the scores of answers: also where they rank the classes."""
        return gate.needs_scores or (gate.of_lists and self.data.task == "classification")

    @property
    def follows_lists(self) -> bool:
        """Whether scores, rankings and outputs are needed while the load lasts, and not only at its end."""
        return self.load.until_decided and any(g.reads_lists and g.interim != "scored" for g in self.gates)

    def with_absolute_data(self) -> Experiment:
        """The same experiment, fit to be read from another folder and in a container that has the file.

        A link keeps its name, whose suffix says the format.
        """
        path = self.data.path
        # a container lacks the folders that `..` leaves again
        data = self.data.model_copy(update={"path": path.parent.resolve() / path.name})
        return self.model_copy(update={"data": data})

    def at_rate(self, rate: float) -> Experiment:
        """The same experiment at one rate."""
        return self.model_copy(update={"load": self.load.model_copy(update={"rate": rate, "rates": ()})})

    def to_toml(self) -> str:
        """The resolved experiment, as TOML that ``load_file`` reads back to an equal object."""
        return tomli_w.dumps(_without_none(self.model_dump(mode="json")))


def _in_words(error: ErrorDetails) -> str:
    """What is wrong with which key."""
    where = ".".join(str(part) for part in error["loc"]) or "the file"
    match error["type"]:
        case "extra_forbidden":
            known = _keys([str(part) for part in error["loc"][:-1] if isinstance(part, str)])
            near = difflib.get_close_matches(str(error["loc"][-1]), known, 1)
            return f"{where}: no such key; " + (
                f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            )
        case "missing" if where in ("target.stable", "target.candidate"):
            return f"{where}: missing; both servers are needed, as by --stable-url and --candidate-url"
        case "missing":
            return f"{where}: missing; docs/experiments.md says what it is"
        case "model_type":
            return f"{where}: is a table of its own; write [{where}] above its keys"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}"


def _keys(tables: Sequence[str]) -> list[str]:
    """The keys of a table, by its path."""
    part: type[BaseModel] = Experiment
    for name in tables:
        part = (PARTS | INNER)[name]
    return list(part.model_fields)


def _without_none(part: dict[str, Any]) -> dict[str, Any]:
    def value(given: Any) -> Any:
        if isinstance(given, list):
            return [value(each) for each in given]
        return _without_none(given) if isinstance(given, dict) else given

    return {key: value(given) for key, given in part.items() if given is not None}


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


PARTS: dict[str, type[BaseModel]] = {
    "model": Model,
    "data": Data,
    "versions": Versions,
    "target": Target,
    "load": Load,
    "limits": Limits,
    "objective": Objective,
    "faults": Fault,
    "canary": Canary,
    "capacity": Capacity,
}
"""The tables of an experiment's file."""
INNER: dict[str, type[BaseModel]] = {"phases": Phase}
"""The tables within these."""
