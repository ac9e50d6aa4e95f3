"""The values of named outputs in an answer: numbers under their names, or in a list under their places."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from loadtest.load.protocols.ranked_items import NoAnswer, says_an_error

_SHOWN = 12


def named_values(data: Any, names: Sequence[str]) -> tuple[float, ...]:
    """The value of each of ``names`` in decoded JSON, in however many lists and names.

    Raises:
        ValueError: one is not there, or no finite number; NoAnswer where an error stands there.
    """
    while (inner := _only(data, names)) is not None:
        data = inner
    if isinstance(data, dict):
        if not all(name in data for name in names) and says_an_error(data):
            raise NoAnswer(orjson.dumps(data).decode())
        there = {str(name): value for name, value in data.items()}
    else:
        values = data if isinstance(data, list) else [data]
        there = {str(place): value for place, value in enumerate(values)}
    return tuple(_number(name, there[name]) if name in there else _missing(name, there) for name in names)


def _only(data: Any, names: Sequence[str]) -> Any | None:
    """What a list of one, or a name that is none of ``names``, has around all the rest; None: nothing."""
    if not isinstance(data, list | dict) or len(data) != 1:
        return None
    if isinstance(data, dict) and next(iter(data)) in names:
        return None
    (inner,) = data.values() if isinstance(data, dict) else data
    return inner if isinstance(inner, list | dict) else None


def _missing(name: str, there: Iterable[str]) -> float:
    names = list(there)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    raise ValueError(f"no output {name!r}; it answers {', '.join(names[:_SHOWN]) or 'nothing'}{more}")


def _number(name: str, value: Any) -> float:
    while isinstance(value, list) and len(value) == 1:
        (value,) = value
    try:
        number = math.nan if isinstance(value, bool | None) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"the output {name!r} is {value!r}, and no number")
    return number
