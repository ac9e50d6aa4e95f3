"""The one prediction in the JSON of an answer, and its scores, in however many lists and names."""

from __future__ import annotations

from typing import Any

import orjson

from contract.label_text import label_text
from loadtest.load.protocols.class_scores import ClassScores
from loadtest.load.protocols.ranked_items import NoAnswer, refuse_error, says_an_error

Scores = tuple[float, ...]
_SCORES = ("scores", "score", "probabilities", "probability", "predict_proba")
_LABELS = ("predicted_label", "label", "prediction", "predict", "class")


def prediction(body: bytes, *keys: str | int) -> str:
    """The one prediction in a JSON answer to one row: below ``keys``, in however many lists and names.

    Raises:
        ValueError: there is none, or more than one.
    """
    return single(part(body, *keys))


def part(body: bytes, *keys: str | int) -> Any:
    """What stands below ``keys`` in a JSON answer.

    Raises:
        ValueError: there is nothing.
    """
    try:
        data = orjson.loads(body)
        for key in keys:
            data = data[key]
    except (LookupError, TypeError) as error:
        raise ValueError(f"no {'.'.join(map(str, keys))} in the answer") from error
    return data


def one(rows: Any) -> Any:
    """The answer to the one row that was sent.

    Raises:
        ValueError: there is none, or more than one.
    """
    if not isinstance(rows, list) or len(rows) != 1:
        count = len(rows) if isinstance(rows, list) else "no"
        raise ValueError(f"{count} elements where one prediction is expected")
    return rows[0]


def scored(data: Any, classes: ClassScores) -> tuple[str, Scores]:
    """The one prediction and its scores in decoded JSON, in however many lists and names.

    Scores are one number, a list, or stand under the names of the classes; beside a label or alone.

    Raises:
        ValueError: there are none, or not those of the classes; NoAnswer where an error stands there.
    """
    label, beside = None, False
    while isinstance(data, dict) or (isinstance(data, list) and len(data) == 1 and _is_deep(data[0])):
        if isinstance(data, list):
            (data,) = data
        elif name := next((name for name in _SCORES if name in data), None):
            label = next((single(data[key]) for key in _LABELS if key in data), label)
            data, beside = data[name], True
        elif says_an_error(data):
            raise NoAnswer(orjson.dumps(data).decode())
        elif found := classes.by_name(data):
            return label or classes.label(found), found
        elif len(data) == 1:
            (data,) = data.values()
        else:
            raise ValueError(f"no scores under {', '.join(data)}")
    numbers = data if isinstance(data, list) else [data]
    bare = len(numbers) == 1 and not beside and not isinstance(numbers[0], float)
    # where a threshold makes the labels, 1 is a score that was rounded
    if bare and (classes.threshold is None or numbers[0] not in (0, 1)):
        raise ValueError(f"{numbers[0]!r} is a label, and no score")
    scores = classes.ordered(numbers)
    return classes.label(scores) if label is None else label, scores


def _is_deep(data: Any) -> bool:
    return isinstance(data, list | dict)


def single(data: Any) -> str:
    """The one prediction in decoded JSON; see ``prediction``."""
    while isinstance(data, list | dict):
        if isinstance(data, dict) and "predicted_label" in data:  # beside its score
            data = data["predicted_label"]
            continue
        refuse_error(data)
        if len(data) != 1:
            raise ValueError(f"{len(data)} elements where one prediction is expected")
        (data,) = data.values() if isinstance(data, dict) else data
    return label_text(data)
