"""The label of a ranking: which items of the catalogue the row's user wanted, and how much.

::

    17                      one item
    [17, 4]                 several, of the same gain; a list column, or its JSON as text
    {"17": 3, "4": 1}       items with gains, as JSON; a gain of 0 is that of an item that is not relevant

Items are compared by ``contract.label_text``, as all labels are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from contract.label_text import label_text
from loadtest.errors import DatasetError
from loadtest.stats.rankings import Wanted

_REMEDY = 'write an item, a list such as ["17", "4"], or items with gains such as {"17": 3, "4": 1}'


@dataclass(frozen=True)
class Relevance:
    """The relevant items of every row.

    Args:
        items: of each row, ids as ``label_text`` writes them; never empty, none twice.
        gains: of each of them, above 0.
    """

    items: tuple[tuple[str, ...], ...]
    gains: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, labels: Sequence[Any], path: Path, column: str) -> Relevance:
        """Read a column of labels.

        A cell is a scalar, a list, a mapping, or JSON of the latter two. Messages name ``path`` and
        ``column``.

        Raises:
            DatasetError: a cell is none of these, or names no relevant item; the message names its row.
        """
        items, gains = [], []
        for row, cell in enumerate(labels):
            try:
                found = _wanted(cell)
            except ValueError as problem:
                raise DatasetError(f"{path}: column {column!r}, row {row + 1}: {problem}") from None
            items.append(tuple(found))
            gains.append(tuple(found.values()))
        return cls(tuple(items), tuple(gains))

    @property
    def single(self) -> bool:
        """Whether each row has one relevant item."""
        return all(len(each) == 1 for each in self.items)

    def texts(self) -> list[str]:
        """A label per row: the item where it is one, else the JSON of all with their gains."""
        return [
            each[0] if len(each) == 1 else orjson.dumps(dict(zip(each, gain, strict=True))).decode()
            for each, gain in zip(self.items, self.gains, strict=True)
        ]

    @cached_property
    def catalogue(self) -> pa.Array:
        """Every item that some row has, once; an item's place is its code."""
        return pa.array(sorted({item for each in self.items for item in each}), pa.string())

    @cached_property
    def wanted(self) -> Wanted:
        """The same by codes."""
        code = {item: place for place, item in enumerate(self.catalogue.to_pylist())}
        row = np.repeat(np.arange(len(self.items)), [len(each) for each in self.items])
        item = np.array([code[item] for each in self.items for item in each], dtype=np.intp)
        gain = np.array([gain for each in self.gains for gain in each], dtype=np.float64)
        order = np.lexsort((item, row))
        return Wanted(row[order], item[order], gain[order])

    def of_rows(self, rows: Sequence[int]) -> list[tuple[str, ...]]:
        """The relevant items of some rows."""
        return [self.items[row] for row in rows]

    def lead(self, rows: NDArray[Any], lists: Sequence[Sequence[str]], codes: NDArray[Any]) -> list[bool]:
        """Whether the first item of each answer is relevant, shape (answers,).

        Args:
            rows: of the evaluation set, shape (answers,).
            lists: distinct answers.
            codes: which of them each answer is, negative: none, shape (answers,).
        """
        best = [each[0] if each else None for each in lists]
        pairs = zip(rows.tolist(), codes.tolist(), strict=True)
        return [code >= 0 and best[code] in self.items[row] for row, code in pairs]


def _wanted(cell: Any) -> dict[str, float]:
    """The relevant items of one cell with their gains, the first of the same item counting."""
    if isinstance(cell, str) and cell.lstrip()[:1] in ("[", "{"):
        try:
            cell = orjson.loads(cell)
        except ValueError as error:
            raise ValueError(f"{cell[:40]!r} is no JSON ({error}); {_REMEDY}") from None
    if cell is None or cell == "":
        raise ValueError(f"no item; {_REMEDY}, or drop the row")
    if isinstance(cell, dict):
        gains = {label_text(item): _gain(item, gain) for item, gain in cell.items()}
    else:
        gains = {label_text(item): 1.0 for item in (cell if isinstance(cell, list) else [cell])}
    found = {item: gain for item, gain in gains.items() if gain > 0}
    if not found:
        raise ValueError("no relevant item, so no list could be a good one; drop the row")
    return found


def _gain(item: Any, gain: Any) -> float:
    if isinstance(gain, bool) or not isinstance(gain, int | float) or not 0 <= gain < math.inf:
        raise ValueError(f"{item!r} has the gain {gain!r}; write a number of at least 0")
    return float(gain)
