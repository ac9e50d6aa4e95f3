"""Gate expressions: one condition that the candidate must meet, as a person would say it.

Grammar::

    gate      = metric [ "[" column "=" value "]" ] operator bound
    operator  = "<=" | ">=" | "=="
    bound     = quantity | "stable" [ ( "+" | "-" ) quantity ]
    quantity  = number [ "ms" | "s" | "%" | "pp" | "/s" | "m" | "g" ]

``p95 <= stable + 10%`` is a margin relative to stable, ``accuracy >= stable - 1pp`` one in percentage
points, ``p99 <= 200ms`` an absolute bound, ``accuracy[segment=new] >= stable - 2pp`` a bound on the rows
whose column ``segment`` reads ``new``.

======================================================  =========  ==============  ==================
metric                                                  better     absolute        margin on stable
======================================================  =========  ==============  ==================
p10 .. p99, p995, p999, p9999 (latency)                 lower      ms, s           ms, s, %
error_rate, cpu_throttled                               lower      %, or a share   pp
accuracy, balanced_accuracy, f1*, precision*, recall*,  higher     %, or a share   pp
jaccard*, matthews_corrcoef (names of scikit-learn)
goodput, throughput, capacity                           higher     /s              /s, %
value (what 1,000 requests earn)                        higher     plain number    plain number, %
positive_likelihood_ratio (labels 0 and 1)              higher     plain number    plain number, %
negative_likelihood_ratio (labels 0 and 1)              lower      plain number    plain number, %
mae, rmse (regression)                                  lower      plain number    plain number, %
r2 (regression)                                         higher     plain number    plain number
mismatches (answers that change under load)             lower      a whole number  a whole number
memory                                                  lower      m, g (bytes)    m, g, %
======================================================  =========  ==============  ==================

``memory`` is the resident memory of the serving process when the load ends. ``cpu_throttled`` is the share of
the CPU limit's periods in which the kernel stopped the version.

``capacity`` is what ``loadproof capacity`` finds; no other command knows it.
``*``: nothing (labels 0 and 1), ``_macro``, ``_micro`` or ``_weighted``. Only ``mismatches`` takes ``==``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from loadtest.errors import GateError
from loadtest.experiment.metrics import LIKELIHOOD_RATIOS, SCORERS, why_not

Kind = Literal[
    "latency", "share", "quality", "rate", "amount", "odds", "odds_against", "loss", "r2", "count", "memory"
]


class _Units(NamedTuple):
    """The units a kind of metric may be bounded in: outright, and as a margin on stable."""

    absolute: tuple[str, ...]
    margin: tuple[str, ...]


_KINDS: dict[Kind, _Units] = {
    "latency": _Units(("ms", "s"), ("ms", "s", "%")),
    "share": _Units(("%", ""), ("pp",)),
    "quality": _Units(("%", ""), ("pp",)),
    "rate": _Units(("/s",), ("/s", "%")),
    "amount": _Units(("",), ("", "%")),
    "odds": _Units(("",), ("", "%")),
    "odds_against": _Units(("",), ("", "%")),
    "loss": _Units(("",), ("", "%")),
    "r2": _Units(("",), ("",)),
    "count": _Units(("",), ("",)),
    "memory": _Units(("m", "g"), ("m", "g", "%")),
}
_HIGHER_IS_BETTER = frozenset(("quality", "rate", "amount", "odds", "r2"))
_METRICS: dict[str, Kind] = {
    "error_rate": "share",
    "cpu_throttled": "share",
    "accuracy": "quality",
    **dict.fromkeys(SCORERS, "quality"),
    **dict(zip(LIKELIHOOD_RATIOS, ("odds", "odds_against"), strict=True)),
    "goodput": "rate",
    "throughput": "rate",
    "capacity": "rate",
    "value": "amount",
    "mae": "loss",
    "rmse": "loss",
    "r2": "r2",
    "mismatches": "count",
    "memory": "memory",
}
_ALIASES = {
    "r²": "r2",
    "errors": "error_rate",
    "throttled": "cpu_throttled",
    "latency": "p99",
    "median": "p50",
}
_BASE = {"ms": 0.001, "s": 1.0, "%": 0.01, "pp": 0.01, "/s": 1.0, "": 1.0, "m": 2.0**20, "g": 2.0**30}
_QUANTITY = r"(\d+(?:\.\d+)?)\s*(ms|s|%|pp|/s|m|g)?"
_PATTERN = re.compile(
    r"\s*([A-Za-z][A-Za-z0-9_²]*)\s*(?:\[([^=\[\]]+)=([^\[\]]+)\])?\s*(<=|>=|==)\s*"
    rf"(?:(stable)\s*(?:([+-])\s*{_QUANTITY})?|{_QUANTITY})\s*"
)


@dataclass(frozen=True)
class Gate:
    """One condition, parsed: ``Gate.parse("p95 <= stable + 10%")``.

    Args:
        expression: the text as the person wrote it; also the gate's name.
        metric: ``p50``..``p9999``, ``error_rate``, ``accuracy``, ...
        operator: ``<=`` (smaller is better), ``>=`` or ``==``.
        against: ``stable`` or ``absolute``.
        bound: the absolute bound, or the margin against stable (never negative), in base units: seconds,
            a share of 1, bytes, or a plain number.
        relative: the margin is a share of stable's value instead of a difference.
        unit: the unit as written.
        column: the evaluation set's column that the slice is by; None: all rows.
        value: what that column reads on the rows of the slice, as text.
    """

    expression: str
    metric: str
    operator: Literal["<=", ">=", "=="]
    against: Literal["stable", "absolute"]
    bound: float
    relative: bool
    unit: str
    column: str | None = None
    value: str | None = None

    @property
    def quantile(self) -> float | None:
        """The quantile that a latency metric names (``p99`` is 0.99), else None."""
        return float(f"0.{self.metric[1:]}") if _is_quantile(self.metric) else None

    @property
    def kind(self) -> Kind:
        """What kind of quantity the metric is; decides its units and its test."""
        return "latency" if self.quantile is not None else _METRICS[self.metric]

    @property
    def higher_is_better(self) -> bool:
        """Whether harm is a fall (accuracy) rather than a rise (latency)."""
        return self.kind in _HIGHER_IS_BETTER

    @property
    def value_unit(self) -> str:
        """The unit in which a page shows each version's own value of this metric."""
        shown = {"latency": "ms", "share": "%", "quality": "%", "rate": "/s", "memory": "MiB"}
        return shown.get(self.kind, "")

    @property
    def margin_unit(self) -> str:
        """The unit in which a page shows what the gate holds against its margin."""
        if self.relative:
            return "%"
        return "pp" if self.against == "stable" and self.value_unit == "%" else self.value_unit

    def __str__(self) -> str:
        return self.expression

    @classmethod
    def parse(cls, text: str) -> Gate:
        """Parse one expression.

        Raises:
            GateError: it is no gate; the message names the part and what is allowed there.
        """
        text = " ".join(text.split())
        match = _PATTERN.fullmatch(text)
        if not match:
            raise GateError(
                f"gate {text!r} does not parse; write for example 'p95 <= stable + 10%' or 'p99 <= 200ms'"
            )
        metric, column, value, operator, stable, sign, margin, margin_unit, bound, bound_unit = match.groups()
        unit = margin_unit or bound_unit or ""
        gate = cls(
            expression=text,
            metric=metric.lower(),
            operator=operator,  # type: ignore[arg-type]
            against="stable" if stable else "absolute",
            bound=float(margin or bound or 0) * _BASE[unit],
            relative=bool(stable) and unit == "%",
            unit=unit,
            column=column.strip() if column else None,
            value=value.strip() if value else None,
        )
        problem = (
            _metric_problem(gate.metric)
            or _direction_problem(gate, sign)
            or _unit_problem(gate, written=margin or bound)
            or _bound_problem(gate)
        )
        if problem:
            raise GateError(f"gate {gate.expression!r}: {problem}")
        return gate


def metrics() -> Iterator[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    """Every metric: its name, what is better, the units of a bound, and those of a margin on stable."""
    named: dict[str, Kind] = {
        "p10 .. p99": "latency",
        "p995": "latency",
        "p999": "latency",
        "p9999": "latency",
    }
    for name, kind in (named | _METRICS).items():
        better = "higher" if kind in _HIGHER_IS_BETTER else "lower"
        yield name, better, _KINDS[kind].absolute, _KINDS[kind].margin


def _is_quantile(metric: str) -> bool:
    return re.fullmatch(r"p(?:[1-9]\d|99\d{1,2})", metric) is not None


def _metric_problem(metric: str) -> str | None:
    if metric in _METRICS or _is_quantile(metric):
        return None
    if reason := why_not(metric):
        return reason
    if re.fullmatch(r"p\d+", metric):
        return f"{metric} is no latency quantile; there are p10 to p99, p995, p999 and p9999"
    near = _ALIASES.get(metric) or next(iter(difflib.get_close_matches(metric, _METRICS, 1)), None)
    if near:
        return f"unknown metric {metric!r}; did you mean {near!r}?"
    return f"unknown metric {metric!r}; there are p50, p95, p99, {', '.join(_METRICS)}"


def _direction_problem(gate: Gate, sign: str | None) -> str | None:
    better = "higher" if gate.higher_is_better else "lower"
    operator, allowed = (">=", "-") if gate.higher_is_better else ("<=", "+")
    if gate.operator == "==":
        if gate.metric != "mismatches" or gate.against == "stable":
            return f"'==' fits only 'mismatches == 0'; write {operator!r}"
    elif gate.operator != operator:
        return f"{better} {gate.metric} is better, so the gate reads '{gate.metric} {operator} ...'"
    if sign and sign != allowed:
        return (
            f"the margin points the wrong way: {better} {gate.metric} is better, "
            f"so what may be lost reads 'stable {allowed} ...'"
        )
    if gate.column and gate.kind in ("memory", "share") and gate.metric != "error_rate":
        return f"{gate.metric} belongs to the whole version and has no slice [{gate.column}={gate.value}]"
    return None


def _unit_problem(gate: Gate, written: str | None) -> str | None:
    if written is None:
        return None
    units = _KINDS[gate.kind]
    allowed = units.margin if gate.against == "stable" else units.absolute
    if gate.unit in allowed:
        return None
    what = "a margin on" if gate.against == "stable" else "a bound on"
    got = f"has the unit {gate.unit!r}" if gate.unit else "has no unit"
    how = " or ".join(f"'{written}{unit}'" for unit in allowed)
    return f"{what} {gate.metric} {got}; write {how}"


def _bound_problem(gate: Gate) -> str | None:
    share = gate.kind in ("share", "quality")
    if share and gate.bound > 1:
        return f"{gate.metric} is a share and cannot exceed 100%"
    if gate.kind == "count" and gate.bound != int(gate.bound):
        return f"{gate.metric} is counted, so its bound is a whole number"
    if gate.kind == "r2" and gate.against == "absolute" and gate.bound >= 1:
        return "r2 is 1 for a perfect model, so a bound lies below 1"
    if gate.relative and gate.higher_is_better and gate.bound >= 1:
        return "stable - 100% is nothing at all; a margin that can be lost lies below 100%"
    impossible = {
        "latency": 0.0,
        "share": 0.0,
        "quality": 1.0,
        "memory": 0.0,
        "loss": 0.0,
        "odds_against": 0.0,
    }
    if gate.against == "absolute" and gate.bound == impossible.get(gate.kind):
        return "no number of requests can show this bound; leave some room"
    return None
