"""What a fitted step is turned into, and the two ways in which it may refuse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.model_server.tensors import every

Cells = Sequence[Any]
"""Of one row: float, int, bool or str; a missing one is NaN."""

LABELS = frozenset(["predict"])
"""The outputs of whoever asks for no more."""


class NotDirect(Exception):  # noqa: N818 - it names what happened
    """The library serves; ``str(error)`` is the reason, one line, with the step's name."""


class Unsure(Exception):  # noqa: N818 - it names what happened
    """The library must answer these rows: it may refuse them, or a rounding may decide them."""


class Kind(Enum):
    """What a step is given of a row."""

    CELLS = "cells"
    TEXT = "text"
    """One cell, where the library gives a series of texts and not a frame of one column."""
    ENTRIES = "entries"
    """``Entries``, where the library gives a sparse matrix."""


Entries = tuple[list[int], list[float]]
"""A row of a sparse matrix: places in ascending order, and the number at each."""


class Step(NamedTuple):
    """A fitted transformer for one row.

    Args:
        run: the cells of a row to those of the next step; whatever it raises, the library takes the row.
        width: how many cells it gives.
        sparse: whether the library's own result is a sparse matrix, which is summed in another order.
        entries: whether ``run`` gives ``Entries``; only of a sparse matrix.
    """

    run: Callable[[Any], Any]
    width: int
    sparse: bool = False
    entries: bool = False


def ahead(scores: NDArray[Any], by: float) -> bool:
    """Whether the best class of every row, shape (rows, classes), is ahead of the next by more than that."""
    best = np.partition(scores, -2, axis=1)
    return every(best[:, -1] - best[:, -2] > by)


def softmax_ahead(scores: NDArray[Any], by: float) -> NDArray[Any] | None:
    """Probabilities of scores, shape (rows, classes), in their precision; None where ``ahead`` is not so."""
    if not ahead(scores, by):
        return None
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


Compile = Callable[[Any, int], Step]
"""(fitted transformer, cells that it is given) to a step; raises ``NotDirect``."""
