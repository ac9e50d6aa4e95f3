"""Where the ranked list stands in a decoded answer, and where an answer is the report of an error instead."""

from __future__ import annotations

from typing import Any

import orjson

_SAYS_AN_ERROR = {"error", "errors", "detail", "message", "exception"}
_LISTS = ("ranking", "ranked_items", "recommendations", "items", "item_ids", "ids", "top_k")
"""Names under which a list stands beside other things, its scores for one."""
_IDS = ("id", "item_id", "item", "name")
"""Under which of its names an item says what it is."""


class NoAnswer(ValueError):  # noqa: N818 - it names what came
    """What stands where the prediction should be is the report of an error; its text is the message."""


def says_an_error(data: dict[str, Any]) -> bool:
    """Whether an object of decoded JSON has the keys of one that reports an error."""
    return bool(_SAYS_AN_ERROR.intersection(data))


def refuse_error(data: Any) -> None:
    """Raise where decoded JSON is the report of an error.

    Raises:
        NoAnswer: it is one.
    """
    if isinstance(data, dict) and says_an_error(data):
        raise NoAnswer(orjson.dumps(data).decode())


def ranked_items(data: Any) -> list[Any]:
    """The items of the one ranking in decoded JSON, in however many lists and names, the best first.

    An item is a scalar, or an object with its ``id``; columns ``0``, ``1``, ... are places in the list.

    Raises:
        ValueError: there is no list, or items without an id; NoAnswer where an error stands there.
    """
    while True:
        if isinstance(data, dict):
            if (name := next((name for name in _LISTS if name in data), None)) is None:
                refuse_error(data)
                if _are_places(data):
                    return [data[str(place)] for place in range(len(data))]
                if len(data) != 1:
                    raise ValueError(f"no ranking under {', '.join(map(str, list(data)[:8]))}")
                (name,) = data
            data = data[name]
        elif isinstance(data, list) and len(data) == 1 and _holds_a_list(data[0]):
            (data,) = data
        else:
            break
    if not isinstance(data, list):
        raise ValueError(f"{data!r} is one answer, and no list")
    return [_id(item) for item in data]


def _holds_a_list(data: Any) -> bool:
    """Whether the only element of a list is what was sought, and not the only item of it."""
    if isinstance(data, dict):
        alone = len(data) == 1 and isinstance(next(iter(data.values())), list)
        return alone or _are_places(data) or any(name in data for name in _LISTS)
    return isinstance(data, list)


def _are_places(data: dict[str, Any]) -> bool:
    return len(data) > 1 and set(data) == {str(place) for place in range(len(data))}


def _id(item: Any) -> Any:
    if isinstance(item, dict):
        refuse_error(item)
        if (name := next((name for name in _IDS if name in item), None)) is None:
            raise ValueError(f"an item without an id, only {', '.join(list(item)[:8])}")
        item = item[name]
    if isinstance(item, list):
        raise ValueError("several lists where one ranking is expected")
    return item
