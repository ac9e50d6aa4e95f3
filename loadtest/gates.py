"""Gate expressions: one condition that the candidate must meet, as a person would say it.

Grammar::

    gate      = metric [ "[" column "=" value "]" ] operator bound
    operator  = "<=" | ">=" | "=="
    bound     = quantity | "stable" [ ( "+" | "-" ) quantity ]
    quantity  = number [ "ms" | "s" | "%" | "pp" | "/s" ]

``p95 <= stable + 10%`` is a margin relative to stable, ``accuracy >= stable - 1pp`` one in percentage
points, ``p99 <= 200ms`` an absolute bound.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from loadtest.errors import GateError

_UNITS = {"ms": 0.001, "s": 1.0, "%": 0.01, "pp": 0.01, "/s": 1.0, "": 1.0}
_METRICS = ("error_rate", "accuracy")
_PATTERN = re.compile(
    r"\s*(?P<metric>[a-z][a-z0-9_]*)\s*(?P<op><=|>=|==)\s*"
    r"(?:(?P<stable>stable)\s*(?:(?P<sign>[+-])\s*(?P<margin>\d+(?:\.\d+)?)\s*(?P<margin_unit>ms|s|%|pp|/s)?)?"
    r"|(?P<bound>\d+(?:\.\d+)?)\s*(?P<bound_unit>ms|s|%|pp|/s)?)\s*"
)


@dataclass(frozen=True)
class Gate:
    """One condition, parsed: ``Gate.parse("p95 <= stable + 10%")``.

    Args:
        expression: the text as the person wrote it; also the gate's name.
        metric: ``p50``..``p999``, ``error_rate``, ``accuracy``, ...
        operator: ``<=`` (smaller is better), ``>=`` or ``==``.
        against: ``stable`` or ``absolute``.
        bound: the absolute bound, or the margin against stable (never negative), in base units: seconds,
            a share of 1, or a plain number.
        relative: the margin is a share of stable's value instead of a difference.
        unit: the unit as written, for display.
    """

    expression: str
    metric: str
    operator: Literal["<=", ">=", "=="]
    against: Literal["stable", "absolute"]
    bound: float
    relative: bool
    unit: str

    @property
    def quantile(self) -> float | None:
        """The quantile that a latency metric names (``p99`` is 0.99), else None."""
        match = re.fullmatch(r"p(\d{2,4})", self.metric)
        return float(f"0.{match[1]}") if match else None

    def __str__(self) -> str:
        return self.expression

    @classmethod
    def parse(cls, text: str) -> Gate:
        """Parse one expression.

        Raises:
            GateError: it is no gate; the message names the part and what is allowed there.
        """
        match = _PATTERN.fullmatch(text)
        if not match:
            raise GateError(
                f"gate {text!r} does not parse; write for example 'p95 <= stable + 10%' or 'p99 <= 200ms'"
            )
        metric, operator = match["metric"], match["op"]
        against = "stable" if match["stable"] else "absolute"
        unit = match["margin_unit"] or match["bound_unit"] or ""
        gate = cls(
            expression=" ".join(text.split()),
            metric=metric,
            operator=operator,  # type: ignore[arg-type]
            against=against,  # type: ignore[arg-type]
            bound=float(match["margin"] or match["bound"] or 0) * _UNITS[unit],
            relative=against == "stable" and unit == "%",
            unit=unit,
        )
        if gate.quantile is None and metric not in _METRICS:
            raise GateError(
                f"gate {text!r}: unknown metric {metric!r}; there are p50, p95, p99, {', '.join(_METRICS)}"
            )
        return gate
