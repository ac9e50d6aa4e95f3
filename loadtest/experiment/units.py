"""Quantities as a person writes them in an experiment: durations, sizes, limits, rates, bounds."""

from __future__ import annotations

import math
import re
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_BYTES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


def seconds(text: object) -> float:
    """Read a duration such as ``250ms``, ``60s``, ``2m`` or a bare number of seconds.

    Raises:
        ValueError: it is not a duration.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|min|h)?\s*", str(text))
    if not match:
        raise ValueError(f"{text!r} is not a duration such as '250ms', '60s' or '2m'")
    return float(match[1]) * _SECONDS[match[2] or "s"]


def _memory(text: str | int) -> int:
    if isinstance(text, int):
        return text
    match = re.fullmatch(r"\s*(\d+)\s*([kmg]?)(?:i?b)?\s*", text.lower())
    if not match:
        raise ValueError(f"{text!r} is not a memory size such as '512m' or '1g'")
    return int(match[1]) * _BYTES[match[2]]


Seconds = Annotated[float, BeforeValidator(seconds), Field(ge=0)]
# in TOML, which has no null, 0 stands for no limit
_ZERO_IS_NONE = (Field(ge=0), AfterValidator(lambda n: n or None), PlainSerializer(lambda n: n or 0))
Cpus = Annotated[float | None, *_ZERO_IS_NONE]
Bytes = Annotated[int | None, BeforeValidator(_memory), *_ZERO_IS_NONE]
PositiveSeconds = Annotated[float, BeforeValidator(seconds), Field(gt=0)]


def _ascending(given: object) -> object:
    """Ascending rates, each once: ``[20, 100]``, or as one option on the command line, ``"20,100"``.

    Raises:
        ValueError: they are not two rates or more.
    """
    if isinstance(given, str):
        given = given.split(",")
    if not isinstance(given, list | tuple):
        raise ValueError(f"{given!r} is not a list of rates such as [20, 100, 180]")
    try:
        rates = sorted(float(rate) for rate in given)
    except (TypeError, ValueError):
        raise ValueError(f"{given!r} are not numbers; write for example [20, 100, 180]") from None
    if rates and (rates[0] <= 0 or len(set(rates)) < max(len(rates), 2)):
        raise ValueError(f"{given!r}: two different rates or more, each above 0, such as [20, 100, 180]")
    return rates


Rates = Annotated[tuple[float, ...], BeforeValidator(_ascending)]

MOST_ROWS_OF_A_REQUEST = 10_000
Sizes = tuple[tuple[int, float], ...]


def request_sizes(given: object) -> object:
    """How many rows requests have: ``8``, or ``{1 = 0.7, 8 = 0.3}``; sizes with weights, ascending.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(given, tuple):
        return given
    table = given if isinstance(given, dict) else {given: 1.0}
    try:
        sizes = sorted((int(str(size)), float(weight)) for size, weight in table.items())
    except (TypeError, ValueError):
        raise ValueError(f"{given!r} is neither a number nor a table such as {{1 = 0.7, 8 = 0.3}}") from None
    for size, weight in sizes:
        if not 1 <= size <= MOST_ROWS_OF_A_REQUEST:
            raise ValueError(f"{size}: a request has 1 to {MOST_ROWS_OF_A_REQUEST:,} rows")
        if not 0 < weight < math.inf:
            raise ValueError(f"the weight of {size} rows is {weight:g}; write one above 0")
    if not sizes:
        raise ValueError("a table without sizes; write for example {1 = 0.7, 8 = 0.3}")
    return tuple(sizes)


def _shown_sizes(sizes: Sizes) -> int | dict[str, float]:
    return sizes[0][0] if len(sizes) == 1 else {str(size): weight for size, weight in sizes}


RowsPerRequest = Annotated[Sizes, BeforeValidator(request_sizes), PlainSerializer(_shown_sizes)]


class Quantity(NamedTuple):
    """What a metric is counted in.

    Args:
        shown: the unit in which pages show a version's own value.
        bounds: the units that an absolute bound may have; the empty one is a plain number.
        margins: the units that a margin on stable may have.
        whole: bounds are whole numbers.
        most: no bound may exceed it.
        of_label: it is a number in the unit of the labels.
    """

    shown: str
    bounds: tuple[str, ...]
    margins: tuple[str, ...]
    whole: bool = False
    most: float = math.inf
    of_label: bool = False


LATENCY = Quantity("ms", ("ms", "s"), ("ms", "s", "%"))
SHARE = Quantity("%", ("%", ""), ("pp",), most=1.0)
RELATIVE = Quantity("%", ("%", ""), ("pp", "%"))
RATE = Quantity("/s", ("/s",), ("/s", "%"))
NUMBER = Quantity("", ("",), ("", "%"))
LABEL = Quantity("", ("",), ("", "%"), of_label=True)
SCORE = Quantity("", ("",), ("",))
COUNT = Quantity("", ("",), ("",), whole=True)
MEMORY = Quantity("MiB", ("m", "g"), ("m", "g", "%"))
