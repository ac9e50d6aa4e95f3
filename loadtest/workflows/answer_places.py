"""Where in a service's answers the prediction stands, the scores and further outputs; pure.

It is found by the answers to labelled rows: of all values in them, the one that agrees best with the labels;
of all lists, names and numbers that may be probabilities, those that lead to the label that was answered.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from contract.label_text import label_text
from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError

_TRIED = 50
_DEEPEST = 10
_WIDEST = 50
_CLASSES = 10
"""Whole numbers as labels are classes where there are no more of them; more may be a regression's."""


def rows_to_try(dataset: Dataset) -> list[int]:
    """The rows that a service is tried on: from the whole file, as many files are sorted by their labels."""
    count = min(_TRIED, len(dataset))
    return [place * len(dataset) // count for place in range(count)]


class Scores(NamedTuple):
    """Scores in an answer.

    Args:
        path: the JSONPath.
        classes: in their order, of two the positive one last; empty: they stand under their names.
    """

    path: str
    classes: tuple[str, ...] = ()


def best_place(answers: Sequence[Any], dataset: Dataset) -> str | None:
    """The JSONPath of the values that agree best with the labels; None: none agrees at all."""
    losses = {path: loss(values, dataset) for path, values in _everywhere(answers)}
    best = min(losses, key=lambda path: losses[path], default=None)
    if best is None or math.isinf(losses[best]) or (dataset.labels.dtype.kind != "f" and losses[best] == 1):
        return None
    return best


def beats_one_label(answers: Sequence[Any], path: str, dataset: Dataset) -> bool:
    """Whether the values at ``path`` agree with the labels better than the commonest label for all would."""
    labels = _labels(dataset)
    return loss([value_at(answer, path) for answer in answers], dataset) < 1 - _commonest(labels)


def bare_score(answers: Sequence[Any], dataset: Dataset) -> Scores | None:
    """The one number that is the score of one of two classes, where no label stands; None: there is none.

    Of several, the one whose halves above and below 0.5 agree best with the labels: better than one label
    for all would.
    """
    if len(dataset.classes) != 2 or dataset.labels.dtype.kind == "f":
        return None
    labels = _labels(dataset)
    found: dict[Scores, float] = {}
    for path, values in _everywhere(answers):
        if _may_be_scores(values):
            for classes in (dataset.classes, dataset.classes[::-1]):
                right = [classes[value >= 0.5] == label for value, label in zip(values, labels, strict=True)]
                found[Scores(path, classes)] = right.count(True) / len(right)
    best = max(found, key=lambda place: found[place], default=None)
    return best if best is not None and found[best] > _commonest(labels) else None


def _labels(dataset: Dataset) -> list[str]:
    return [str(label) for label in dataset.labels[rows_to_try(dataset)].tolist()]


def _commonest(labels: Sequence[str]) -> float:
    """The share of the commonest."""
    return max(map(labels.count, labels)) / len(labels)


def scores_beside(answers: Sequence[Any], label_path: str, classes: Sequence[str]) -> Scores | None:
    """Where the scores stand that lead to the label at ``label_path``; None: nowhere that is sure."""
    labels = [label_text(value_at(answer, label_path)) for answer in answers]
    tests: tuple[Callable[[Sequence[Any], Sequence[str], Sequence[str]], tuple[str, ...] | None], ...]
    tests = (_by_name, _by_place, _of_one)
    for order_of in tests:
        for path, values in _everywhere(answers, inner=True):
            if path != label_path and (order := order_of(values, labels, classes)) is not None:
                return Scores(path, order)
    return None


def outputs_beside(answers: Sequence[Any], path: str, columns: Sequence[str]) -> list[str]:
    """Names of ``columns`` that stand beside the value at ``path``, in the same object."""
    around, name = object_around(path)
    there = value_at(answers[0], around) if name else None
    return [column for column in columns if isinstance(there, dict) and column in there and column != name]


def object_around(path: str) -> tuple[str, str]:
    """Of ``$.a.b`` the path ``$.a`` and the name ``b``; an empty name where the last step is no plain one."""
    found = re.fullmatch(r"(.*)\.([A-Za-z_]\w*)", path)
    return (found[1], found[2]) if found else (path, "")


def value_at(answer: Any, path: str) -> Any:
    """The value at a path that ``best_place`` gave; None: there is none."""
    return next((value for where, value in _values(answer, inner=True) if where == path), None)


def loss(values: Sequence[Any], dataset: Dataset) -> float:
    """The share of wrong labels, or the mean absolute error; infinite of what is no prediction."""
    labels = dataset.labels[rows_to_try(dataset)]
    try:
        if labels.dtype.kind == "f":
            # some services answer a number as text
            numbers = [float(value) for value in values if not isinstance(value, bool | list | dict)]
            if len(numbers) < len(values) or not np.isfinite(numbers).all():
                return math.inf
            off = np.asarray(numbers) - labels.astype(np.float64)
            return float(np.abs(off).mean())
        right = [label_text(value) == label for value, label in zip(values, labels.tolist(), strict=True)]
    except ValueError:
        return math.inf
    return 1 - right.count(True) / len(right)


def may_be_regression(dataset: Dataset) -> bool:
    """Whether labels that nobody answers may be numbers that answers come near."""
    labels = set(dataset.labels.tolist())
    try:
        return dataset.labels.dtype.kind != "f" and len(labels) > _CLASSES and bool([*map(float, labels)])
    except ValueError:
        return False


def loss_in_words(values: Sequence[Any], dataset: Dataset) -> str:
    """How near predictions come to the labels, in words."""
    lost = loss(values, dataset)
    if dataset.labels.dtype.kind == "f":
        return f"off by {lost:.4g} on average"
    return f"right on {1 - lost:.1%}" if math.isfinite(lost) else "no label on some"


def no_label(answers: Sequence[Any], dataset: Dataset) -> DatasetError:
    """The error that says that no value of the answers is a label."""
    first = list(_everywhere(answers))[:5]
    seen = "; ".join(f"{path} is {values[0]!r}" for path, values in first) or "no value"
    labels = ", ".join(repr(str(label)) for label in dataset.labels[:3].tolist())
    return DatasetError(
        f"{dataset.path}: the service answers {seen}, the labels read {labels}; "
        "write labels as the service answers"
    )


def _by_name(values: Sequence[Any], labels: Sequence[str], classes: Sequence[str]) -> tuple[str, ...] | None:
    """Of scores under the names of classes."""
    for value, label in zip(values, labels, strict=True):
        if not isinstance(value, Mapping) or len(value) < 2:
            return None
        named = {label_text(name): score for name, score in value.items()}
        if not set(named) <= set(classes) or not _are_scores(named.values()):
            return None
        if named.get(label) != max(named.values()):
            return None
    return ()


def _by_place(values: Sequence[Any], labels: Sequence[str], classes: Sequence[str]) -> tuple[str, ...] | None:
    """Of a list of scores, one per class: where the greatest stands is the place of the label."""
    order: dict[int, str] = {}
    for value, label in zip(values, labels, strict=True):
        while isinstance(value, list) and len(value) == 1:
            (value,) = value
        if not isinstance(value, list) or len(value) != len(classes) or not _are_scores(value):
            return None
        if order.setdefault(value.index(max(value)), label) != label:
            return None
    rest = [name for name in classes if name not in order.values()]
    if len(rest) == 1 and len(order) == len(classes) - 1:
        order[next(place for place in range(len(classes)) if place not in order)] = rest[0]
    if len(set(order.values())) < len(classes):
        return None
    return tuple(order[place] for place in range(len(classes)))


def _of_one(values: Sequence[Any], labels: Sequence[str], classes: Sequence[str]) -> tuple[str, ...] | None:
    """Of the score of one of two classes: all that stand for it are greater than all that do not."""
    if len(classes) != 2 or not _may_be_scores(values):
        return None
    # how sure a service is of its answer, whichever that is, is never below one half
    if min(values) >= 0.5:
        return None
    for first, second in ((classes[0], classes[1]), (classes[1], classes[0])):
        low = [value for value, label in zip(values, labels, strict=True) if label == first]
        high = [value for value, label in zip(values, labels, strict=True) if label == second]
        if low and high and max(low) < min(high):
            return first, second
    return None


def _may_be_scores(values: Sequence[Any]) -> bool:
    """Whether single numbers may be scores: of 0 and 1 alone they are classes; Go and Node write 1.0 as 1."""
    return _are_scores(values) and any(value % 1 for value in values)


def _are_scores(values: Any) -> bool:
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 for value in values
    )


def _everywhere(answers: Sequence[Any], *, inner: bool = False) -> Iterator[tuple[str, list[Any]]]:
    """Every JSONPath that all answers have, and its values; ``inner``: of objects and lists, too."""
    found = [dict(_values(answer, inner=inner)) for answer in answers]
    for path in found[0]:
        if all(path in one for one in found):
            yield path, [one[path] for one in found]


def _values(
    answer: Any, where: str = "$", depth: int = 0, *, inner: bool = False
) -> Iterator[tuple[str, Any]]:
    """Every value of an answer by its JSONPath."""
    if depth > _DEEPEST:
        return
    if isinstance(answer, dict | list):
        if inner:
            yield where, answer
        items = answer.items() if isinstance(answer, dict) else enumerate(answer[:_WIDEST])
        for name, value in items:
            yield from _values(value, where + _step(name), depth + 1, inner=inner)
    elif answer is not None:
        yield where, answer


def _step(name: str | int) -> str:
    if isinstance(name, int):
        return f"[{name}]"
    if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        return f".{name}"
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{escaped}']"
