"""What one record of a server's answers says, checked: the server may be somebody else's, or lie.

Beside labels a record may tell the scores of its rows, one per class, and their ranked lists. A record whose
scores or lists are not sound, or too many (``contract.shadow.MOST_ALONG``), tells none.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from contract.shadow import MOST_ALONG

Scores = NDArray[np.float32]
"""Shape (rows, classes); in single precision, as samples keep them."""


class Answer(NamedTuple):
    """What one server answered to a request; ``classes`` name the columns of ``scores`` where known."""

    status: int
    seconds: float
    labels: Sequence[object]
    scores: Scores | None = None
    ranking: Sequence[Sequence[str]] | None = None
    classes: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it is an error."""
        return self.status >= 400

    @property
    def alone(self) -> Answer:
        """The same without scores and lists, which take memory."""
        return Answer(self.status, self.seconds, self.labels)


def answer_of(record: Mapping[str, Any]) -> Answer:
    """The answer of a sound record."""
    rows = len(record["labels"])
    scores = _scores(record.get("scores"), rows)
    classes = record.get("classes")
    named = (
        scores is not None
        and isinstance(classes, list)
        and all(isinstance(each, str) for each in classes)
        and len(set(classes)) == len(classes) == scores.shape[1]
    )
    return Answer(
        record["status"],
        record["seconds"],
        record["labels"],
        scores,
        _lists(record.get("ranking"), rows),
        tuple(cast("list[str]", classes)) if named else (),
    )


def both_scores(stable: Answer, candidate: Answer) -> tuple[Scores | None, Scores | None]:
    """The scores of both, the same classes in the same columns; the candidate's None where it has others."""
    one, other = stable.scores, candidate.scores
    if one is None or other is None:
        return one, other
    if stable.classes and candidate.classes and stable.classes != candidate.classes:
        if set(stable.classes) != set(candidate.classes):
            return one, None
        other = other[:, [candidate.classes.index(name) for name in stable.classes]]
    return one, other if other.shape == one.shape else None


def is_sound(record: object) -> bool:
    """Whether a record holds what it should."""
    if not isinstance(record, Mapping):
        return False
    told = record.get("truth", record.get("labels"))
    if not isinstance(record.get("id"), str) or not _is_count(record.get("at")) or not isinstance(told, list):
        return False
    if not all(isinstance(label, str) or _is_number(label) for label in told):
        return False
    return "truth" in record or (
        isinstance(record.get("status"), int)
        and _is_count(record.get("seconds"))
        and isinstance(record.get("user"), str | int | None)
    )


def _scores(told: object, rows: int) -> Scores | None:
    if not _are_lists(told, rows):
        return None
    lists = cast("list[list[object]]", told)
    if len({len(row) for row in lists}) != 1 or not all(_is_number(one) for row in lists for one in row):
        return None
    scores = np.asarray(lists, np.float64)
    # beyond single precision there is no probability
    return scores.astype(np.float32) if scores.size and np.abs(scores).max() < _LARGEST else None


def _lists(told: object, rows: int) -> list[list[str]] | None:
    if not _are_lists(told, rows):
        return None
    lists = cast("list[list[object]]", told)
    if not all(isinstance(item, str) for row in lists for item in row):
        return None
    texts = cast("list[list[str]]", lists)
    return texts if sum(len(item) for row in texts for item in row) <= _LONGEST else None


def _are_lists(told: object, rows: int) -> bool:
    return (
        isinstance(told, list)
        and len(told) == rows > 0
        and all(isinstance(row, list) for row in told)
        and sum(map(len, told)) <= MOST_ALONG
    )


_LARGEST = float(np.finfo(np.float32).max)
_LONGEST = 20_000
"""Characters of all lists of a record."""


def _is_count(value: object) -> bool:
    return _is_number(value) and cast("float", value) >= 0


def _is_number(value: object) -> bool:
    """Whether it is a number that a float can hold; JSON knows others."""
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max
