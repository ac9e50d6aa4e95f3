"""One change between two runs, and how it reads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from loadtest.experiment.gate import Gate
from loadtest.experiment.role import ROLES, Role
from loadtest.judge.measurement import Measurement, shown
from loadtest.judge.verdict import Document
from loadtest.stats.estimate import Known

RoleOrBoth = Role | Literal["candidate against stable"]
ROLES_AND_BOTH: tuple[RoleOrBoth, ...] = (*ROLES, "candidate against stable")


class Change(Document):
    """How one metric changed; ``interval`` sides are None where there is none.

    ``before`` and ``after`` are in ``value_unit``, ``estimate`` and ``interval`` in ``unit`` (% of what it
    was, percentage points, or a plain difference).
    """

    role: RoleOrBoth
    metric: str
    before: float | None
    after: float | None
    value_unit: str
    estimate: float | None
    interval: tuple[float | None, float | None]
    unit: str
    compared: str
    reading: str


class Changes(Document):
    """What changed between two runs (schema 1): ``conditions`` are the differences to keep in mind."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    confidence: float
    same_arrivals: bool
    conditions: tuple[str, ...]
    changes: tuple[Change, ...]


def line(
    role: RoleOrBoth,
    gate: Gate,
    measured: Measurement | str,
    own: tuple[float | None, float | None],
    compared: str,
    confidence: float,
) -> Change:
    """One change: the estimate of after minus before, or why there is none.

    The gate names the metric, its direction and its units; its margin plays no part. ``own`` is the metric in
    each run, in base units, ``compared`` says which pairs the estimate rests on.
    """
    unit = gate.margin_unit
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    if isinstance(measured, str):
        reading = measured
    else:
        ends = measured.estimate.interval(1 - confidence)
        estimate, low, high = (shown(measured.to_base(x), unit) for x in (measured.estimate.value, *ends))
        known = isinstance(measured.estimate, Known)
        reading = _reading(gate, estimate, low, high, known=known)
        if known:
            low = high = None
    return Change(
        role=role,
        metric=gate.metric,
        before=shown(own[0], gate.value_unit),
        after=shown(own[1], gate.value_unit),
        value_unit=gate.value_unit,
        estimate=estimate,
        interval=(low, high),
        unit=unit,
        compared=compared,
        reading=reading,
    )


def _reading(
    gate: Gate, estimate: float | None, low: float | None, high: float | None, *, known: bool
) -> str:
    if known:
        return "the same" if not estimate else "higher" if estimate > 0 else "lower"
    if low is None or high is None:
        return "no interval"
    if low <= 0 <= high:
        return "no change seen"
    fell = high < 0
    if gate.quantile is not None:
        return "faster" if fell else "slower"
    return "worse" if fell == gate.higher_is_better else "better"
