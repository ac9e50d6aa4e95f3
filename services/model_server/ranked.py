"""The output ``ranking``: a list of items per row, the best first.

It is what the model answers, where ``output = "ranking"`` in ``model.toml`` says that its lists are ones, or
its classes by their probabilities, where it has more than two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.label_text import label_text

RANKING = "ranking"


def array_of(answer: Any) -> NDArray[Any]:
    """A model's answer as an array; lists of several lengths become the objects of one of shape (rows,)."""
    if isinstance(answer, list | tuple) and len({_length(each) for each in answer}) > 1:
        array = np.empty(len(answer), dtype=object)
        array[:] = answer
        return array
    return np.asarray(answer)


def _length(each: Any) -> int:
    return len(each) if isinstance(each, list | tuple | np.ndarray) else -1


def are_lists(answers: NDArray[Any]) -> bool:
    """Whether each cell of an answer is a list, so that it can be nothing but a ranking."""
    return answers.dtype.kind == "O" and answers.size > 0 and all(_length(each) >= 0 for each in answers.flat)


def lists_of(answers: NDArray[Any], rows: int) -> NDArray[Any]:
    """The items of every row as ``label_text`` writes them: lists, in an array of shape (rows,).

    Args:
        answers: lists in shape (rows,) or (rows, 1), or items in shape (rows, items), of which the missing
            ones at the end make a list shorter.
        rows: how many were asked.

    Raises:
        ValueError: it is no list per row.
    """
    if answers.ndim == 2 and answers.shape[1] == 1 and _length(answers[0, 0]) >= 0:
        answers = answers[:, 0]
    if len(answers) != rows or (answers.ndim == 1 and any(_length(each) < 0 for each in answers)):
        raise ValueError(
            f"answers {rows} rows with an array of shape {list(answers.shape)}; a list of items is needed "
            "for each row"
        )
    found = np.empty(rows, dtype=object)
    found[:] = [_items(each) for each in answers]
    return found


def _items(row: Any) -> list[str]:
    items = list(row)
    while items and (items[-1] is None or items[-1] != items[-1]):
        items.pop()
    return [label_text(item) for item in items]


def firsts(lists: NDArray[Any]) -> NDArray[np.str_]:
    """The best item of each list, shape (rows,); empty text where there is none."""
    return np.array([each[0] if each else "" for each in lists], dtype=np.str_)


def by_score(probabilities: NDArray[Any], classes: Sequence[Any]) -> NDArray[Any]:
    """All classes of each row, the likeliest first; of equal ones the first, as scikit-learn has it."""
    names = [label_text(label) for label in classes]
    found = np.empty(len(probabilities), dtype=object)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    found[:] = [[names[place] for place in row] for row in order.tolist()]
    return found


def rectangular(lists: NDArray[Any]) -> NDArray[Any]:
    """Lists as one tensor of text, shape (rows, longest); empty text fills the shorter ones up."""
    longest = max(map(len, lists), default=0)
    filled = [each + [""] * (longest - len(each)) for each in lists]
    return np.array(filled, dtype=object).reshape(len(lists), longest)
