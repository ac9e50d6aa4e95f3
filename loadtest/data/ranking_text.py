"""A ranking as one text, by which answers are compared: the JSON of its items, such as ``["17","4"]``.

The items are text by ``contract.label_text``, so two rankings have the same text if they are the same list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from contract.label_text import label_text

LONGEST = 1_000
"""The most items of an answer that are read: a sample keeps them all."""


def ranking_text(items: Iterable[Any]) -> str:
    """The text of a ranking.

    Args:
        items: scalars, the best first.

    Raises:
        ValueError: one is no id, or there are too many.
    """
    texts = [label_text(item) for item in items]
    if len(texts) > LONGEST:
        raise ValueError(f"a list of {len(texts):,} items, {LONGEST:,} are read; let it answer with fewer")
    return orjson.dumps(texts).decode()


def items_of(text: str) -> list[str]:
    """The items of what ``ranking_text`` wrote."""
    items: list[str] = orjson.loads(text)
    return items
