"""CloudEvents as Knative's event display prints them, which KServe's documentation calls message-dumper.

::

    ☁️  cloudevents.Event
    Context Attributes,
      specversion: 1.0
      type: org.kubeflow.serving.inference.request
      time: 2023-04-05T07:39:53.501752983Z
    Data,
      {"instances": [[6.8, 2.8, 4.8, 1.4]]}
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

BEGINS = "cloudevents.Event"
_DATA = "Data,"

Record = tuple[int, Callable[[], dict[str, Any]]]
"""The line at which an event begins, and what reads it."""


def printed_events(first: tuple[int, str], lines: Iterator[tuple[int, str]]) -> Iterator[Record]:
    """Each event as the JSON format of CloudEvents has it.

    Args:
        first: the first line's number and text; it begins an event.
        lines: those that follow, without empty ones.
    """
    number = first[0]
    block: list[str] = []
    for at, line in lines:
        if line.strip().endswith(BEGINS):
            yield number, _reader(block)
            number, block = at, []
        else:
            block.append(line)
    yield number, _reader(block)


def _reader(block: list[str]) -> Callable[[], dict[str, Any]]:
    return lambda: _event(block)


def _event(block: list[str]) -> dict[str, Any]:
    heads = [line.strip() for line in block]
    end = heads.index(_DATA) if _DATA in heads else len(heads)
    event: dict[str, Any] = {}
    for line in heads[:end]:
        name, colon, value = line.partition(": ")
        if colon:
            # an extension never replaces an attribute, which stands before it
            event.setdefault(name, value)
    event.setdefault("specversion", "")
    try:
        return event | {"data": json.loads("".join(block[end + 1 :]) or "null")}
    except json.JSONDecodeError as error:
        raise ValueError(f"the data of the event is not JSON ({error.msg})") from None
