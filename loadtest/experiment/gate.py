"""Gate expressions: one condition that the candidate must meet.

Grammar::

    gate      = metric [ "@" place ] { "[" arguments "]" } [ "[" column "=" value "]" ] operator bound
    arguments = argument { "," argument }
    place     = whole number | metric "=" number
    operator  = "<=" | ">=" | "=="
    bound     = [ "-" ] quantity | "stable" [ ( "+" | "-" ) quantity ]
    quantity  = number [ "ms" | "s" | "%" | "pp" | "/s" | "m" | "g" ]

``p95 <= stable + 10%`` is a margin relative to stable, ``accuracy >= stable - 1pp`` one in percentage
points, ``p99 <= 200ms`` an absolute bound, ``accuracy[segment=new] >= stable - 2pp`` a bound on the rows
whose column ``segment`` reads ``new``. Column and value are written as they are, brackets and blanks inside
included: ``accuracy[age=(17, 25]] >= 80%``. In double quotes they may hold anything, such as ``=`` in a
column's name or blanks at an end: ``["rate=x"=" a"]``; ``""`` is a quote in them. Which metrics there are, in
which units, and which of them take arguments (``top_k_accuracy@5``, ``precision@recall=0.9``,
``mae[output=price]``, ``interval_coverage[lower=q05,upper=q95]``), stands in ``loadtest.experiment.metrics``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import GetPydanticSchema
from pydantic_core import core_schema

from loadtest.errors import GateError
from loadtest.experiment.gate_name import arguments_and_slice, metric_name
from loadtest.experiment.metrics import METRICS, OUTPUTS, Interim, Metric, find, why_unknown

_BASE = {"ms": 0.001, "s": 1.0, "%": 0.01, "pp": 0.01, "/s": 1.0, "": 1.0, "m": 2.0**20, "g": 2.0**30}
_QUANTITY = r"(\d+(?:\.\d+)?)\s*(ms|s|%|pp|/s|m|g)?"
_PATTERN = re.compile(
    r"\s*([A-Za-z][A-Za-z0-9_²]*)(@(?:\d+|[A-Za-z]+\s*=\s*\d+(?:\.\d+)?%?))?\s*((?:\[.*\])?)\s*(<=|>=|==)\s*"
    rf"(?:(stable)\s*(?:([+-])\s*{_QUANTITY})?|{_QUANTITY.replace('(', '(-?', 1)})\s*",
    re.DOTALL,
)
_BLANK_AFTER_SIGN = re.compile(r"= ?- (?=\d[^\]]*$)")
_FACTOR = r"stable\s*\*\s*(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)\s*\*\s*stable"


@dataclass(frozen=True)
class Gate:
    """One condition, parsed: ``Gate.parse("p95 <= stable + 10%")``.

    Args:
        expression: the text as the person wrote it; also the gate's name.
        metric: ``p50``..``p9999``, ``error_rate``, ``accuracy``, ...
        entry: what there is to know of the metric.
        operator: ``<=`` (smaller is better), ``>=`` or ``==``.
        against: ``stable`` or ``absolute``.
        bound: the absolute bound, or the margin against stable (never negative), in base units: seconds,
            a share of 1, bytes, or a plain number.
        relative: the margin is a share of stable's value instead of a difference.
        unit: the unit as written.
        column: the evaluation set's column that the slice is by; None: all rows.
        value: what that column reads on the rows of the slice, as text.
        arguments: of the metric, as text, under the names of ``Metric.takes``.
    """

    expression: str
    metric: str
    entry: Metric = field(repr=False)
    operator: Literal["<=", ">=", "=="]
    against: Literal["stable", "absolute"]
    bound: float
    relative: bool
    unit: str
    column: str | None = None
    value: str | None = None
    arguments: tuple[tuple[str, str], ...] = ()

    @property
    def measured(self) -> str:
        """What the gate is about: the metric and its slice, without the bound."""
        return re.sub(r" *[<>=]=[^<>=\]]*$", "", self.expression)

    @property
    def quantile(self) -> float | None:
        """The quantile that a latency metric names (``p99`` is 0.99), else None."""
        return self.entry.quantile

    @property
    def higher_is_better(self) -> bool:
        """Whether harm is a fall (accuracy) rather than a rise (latency)."""
        return self.entry.higher_is_better

    @property
    def number(self) -> float | None:
        """The number in the metric's name (``pinball[0.9]``, ``precision@recall=0.9``: 0.9), else None."""
        return next((float(text) for key, text in self.arguments if key in ("[]", "=")), None)

    @property
    def needs_scores(self) -> bool:
        """Whether labels alone do not suffice."""
        return "scores" in self.entry.needs or any(key == "scores" for key, _ in self.arguments)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that it is about, in the order of ``Metric.takes``; none: the answer itself."""
        named = dict(self.arguments)
        return tuple(named[key] for key in OUTPUTS if key in named)

    @property
    def reads_lists(self) -> bool:
        """Whether it reads the list of an answer: a ranking, or the values of outputs."""
        return self.of_lists or bool(self.outputs)

    @property
    def of_lists(self) -> bool:
        """Whether it is about ranked lists."""
        return self.entry.task == "ranking"

    @property
    def interim(self) -> Interim:
        """See ``Metric.interim``; scores come at the end, whatever the metric."""
        return "scored" if self.needs_scores else self.entry.interim

    @property
    def k(self) -> int | None:
        """The whole number after ``@`` of the metric's name (``ndcg@10``: 10), else None."""
        return next((int(text) for key, text in self.arguments if key == "@"), None)

    @property
    def margin(self) -> float:
        """The limit with its sign, in base units: -0.01 for ``accuracy >= stable - 1pp``."""
        return -self.bound if self.against == "stable" and self.higher_is_better else self.bound

    @property
    def value_unit(self) -> str:
        """The unit in which a page shows each version's own value of this metric."""
        return self.entry.quantity.shown

    @property
    def margin_unit(self) -> str:
        """The unit in which a page shows what the gate holds against its margin."""
        if self.relative:
            return "%"
        return "pp" if self.against == "stable" and self.value_unit == "%" else self.value_unit

    def __str__(self) -> str:
        return self.expression

    @classmethod
    def parse(cls, text: str, table: Mapping[str, Metric] = METRICS) -> Gate:
        """Parse one expression.

        Raises:
            GateError: it is no gate; the message names the part and what is allowed there.
        """
        text = _BLANK_AFTER_SIGN.sub("= -", _tidy(text))
        match = _PATTERN.fullmatch(text)
        if not match:
            raise GateError(f"gate {text!r} does not parse; {_hint(text, table)}")
        name, rank, brackets, operator, stable, sign, margin, margin_unit, bound, bound_unit = match.groups()
        unit, written = margin_unit or bound_unit or "", margin or bound
        metric, rank = metric_name(name, rank)
        try:
            entry = find(metric, table, ranked=rank is not None and rank[0] == "@")
            if entry is None:
                raise GateError(why_unknown(metric))
            arguments, (column, value) = arguments_and_slice(entry, rank, brackets)
            gate = cls(
                expression=text,
                metric=f"{metric}{rank}" if entry.name.endswith("@k") else metric,
                entry=entry,
                operator=operator,  # type: ignore[arg-type]
                against="stable" if stable else "absolute",
                bound=float(written or 0) * _BASE[unit],
                relative=bool(stable) and unit == "%",
                unit=unit,
                column=column,
                value=value,
                arguments=arguments,
            )
            _check_direction(gate, sign)
            if written is not None:
                _check_unit(gate, written)
            _check_bound(gate, written or "")
        except GateError as problem:
            raise GateError(f"gate {text!r}: {problem}") from None
        return gate

    @classmethod
    def beside_stable(cls, metric: str, *, relative: bool = False) -> Gate:
        """A gate without a margin, for what is shown and not judged; ``relative``: as a share of stable's."""
        name, _, rank = metric.partition("@")
        entry = find(name, ranked=bool(rank))
        operator, sign = (">=", "-") if entry and entry.higher_is_better else ("<=", "+")
        return cls.parse(f"{metric} {operator} stable" + (f" {sign} 0%" if relative else ""))


def _read(given: object) -> Gate:
    if isinstance(given, Gate):
        return given
    if not isinstance(given, str):
        raise ValueError("a gate is text, such as 'p95 <= stable + 10%'")
    return Gate.parse(given)


GateExpression = Annotated[
    Gate,
    # a schema of its fields, which pydantic draws up otherwise, would slow the start of every command
    GetPydanticSchema(
        lambda _type, _handler: core_schema.no_info_plain_validator_function(
            _read, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )
    ),
]
"""A gate as a field of a model: read from its text, written as its text."""


def _tidy(text: str) -> str:
    """Single blanks between the parts; what stands in brackets is somebody's data."""
    first, last = text.find("["), text.rfind("]")
    if not 0 <= first < last:
        return " ".join(text.split())
    before, after = " ".join(text[:first].split()), " ".join(text[last + 1 :].split())
    return f"{before}{text[first : last + 1]}{' ' if text[last + 1 : last + 2].isspace() else ''}{after}"


def _hint(text: str, table: Mapping[str, Metric]) -> str:
    """What to write instead of what is no gate, tried before it is advised."""
    meant = re.sub(r"^p(\d\d)\.(\d+)", r"p\1\2", text)
    meant = re.sub(_FACTOR, _change, meant)
    meant = re.sub(r"(?<![<>=])([<>])(?!=)", r"\1=", meant)
    if meant == text or not _PATTERN.fullmatch(meant):
        return "write for example 'p95 <= stable + 10%' or 'p99 <= 200ms'"
    try:
        Gate.parse(meant, table)
    except GateError as error:
        return f"its form is {meant!r}, and {str(error).partition(': ')[2]}"
    return f"write {meant!r}"


def _change(factor: re.Match[str]) -> str:
    """``stable * 1.1`` as a margin."""
    change = (float(factor[1] or factor[2]) - 1) * 100
    return f"stable {'-' if change < 0 else '+'} {abs(change):.6g}%"


def _check_direction(gate: Gate, sign: str | None) -> None:
    better = gate.entry.better
    if gate.against == "stable" and gate.entry.absolute:
        bound = (
            ">= 99.5%" if gate.higher_is_better else "<= 10" if gate.entry.task == "regression" else "<= 0.05"
        )
        raise GateError(f"{gate.entry.absolute}; write a bound of its own, such as '{gate.measured} {bound}'")
    operator, allowed = (">=", "-") if gate.higher_is_better else ("<=", "+")
    if gate.operator == "==":
        if not gate.entry.quantity.whole or gate.against == "stable":
            raise GateError(f"'==' fits only 'mismatches == 0'; write {operator!r}")
    elif gate.operator != operator:
        raise GateError(f"{better} {gate.metric} is better, so the gate reads '{gate.metric} {operator} ...'")
    if sign and sign != allowed:
        raise GateError(
            f"the margin points the wrong way: {better} {gate.metric} is better, "
            f"so what may be lost reads 'stable {allowed} ...'"
        )
    if gate.column and not gate.entry.sliced:
        raise GateError(
            f"{gate.metric} belongs to the whole version and has no slice [{gate.column}={gate.value}]"
        )


def _check_unit(gate: Gate, written: str) -> None:
    quantity = gate.entry.quantity
    allowed = quantity.margins if gate.against == "stable" else quantity.bounds
    if gate.unit not in allowed:
        what = "a margin on" if gate.against == "stable" else "a bound on"
        got = f"is not given in {gate.unit!r}" if gate.unit else "has no unit"
        got += " but in the label's unit" * quantity.of_label
        is_share = gate.unit in ("%", "pp") and not (quantity.whole or quantity.of_label)
        plain = f"{gate.bound:g}" if is_share else written
        fit = (unit for unit in allowed if unit or float(plain) <= quantity.most)
        ways = [written + unit if unit else plain for unit in fit]
        how = " or ".join(map(repr, ways))
        raise GateError(f"{what} {gate.metric} {got}; write {how}")


def _check_bound(gate: Gate, written: str) -> None:
    best, whole = gate.entry.best, gate.entry.quantity.whole
    if gate.bound > gate.entry.quantity.most:
        percent = f"; write {written}%" if not gate.unit and gate.bound <= 100 else ""
        raise GateError(f"{gate.metric} is a share and cannot exceed 100%{percent}")
    absolute, least = gate.against == "absolute", gate.entry.least
    if absolute and gate.bound < least and not gate.higher_is_better:
        raise GateError(f"no version meets this: {gate.metric} is never below {least:g}")
    if gate.higher_is_better:
        met = gate.bound <= least if absolute else best is not None and gate.bound >= best - least
    else:
        met = gate.entry.quantity.most == 1 and gate.bound == 1
    if met:
        raise GateError("every version meets this, whatever it answers; write a bound that it can miss")
    if whole and gate.bound != int(gate.bound):
        raise GateError(f"{gate.metric} is counted, so its bound is a whole number")
    if gate.relative and gate.higher_is_better and gate.bound >= 1:
        raise GateError("stable - 100% is 0; a margin must be below 100%")
    if absolute and best is not None:
        within = gate.bound < best if gate.higher_is_better else gate.bound > best
        if not within:
            raise GateError("no number of requests can show this bound; leave some room")
