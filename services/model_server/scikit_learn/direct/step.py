"""What a fitted step is turned into, and the two ways in which it may refuse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Cells = Sequence[Any]
"""Of one row: float, int, bool or str; a missing one is NaN."""


class NotDirect(Exception):  # noqa: N818 - it names what happened
    """The library serves; ``str(error)`` is the reason, one line, with the step's name."""


class Unsure(Exception):  # noqa: N818 - it names what happened
    """The library must answer these rows: it may refuse them, or a rounding may decide them."""


class Step(NamedTuple):
    """A fitted transformer for one row.

    Args:
        run: the cells of a row to those of the next step; whatever it raises, the library takes the row.
        width: how many cells it gives.
        sparse: whether the library's own result is a sparse matrix, which is summed in another order.
    """

    run: Callable[[Cells], list[Any]]
    width: int
    sparse: bool = False


Compile = Callable[[Any, int], Step]
"""(fitted transformer, cells that it is given) to a step; raises ``NotDirect``."""
