"""Cells that are none of the categories that a model learnt from: it takes them otherwise than the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow.compute as pc

from loadtest.data.dataset import Dataset

_SHOWN = 3
_BECOMES = {"missing": "it takes such a cell for a missing one", "refused": "it refuses such a row"}


def unknown_categories(said: Any, names: Sequence[str], dataset: Dataset) -> list[str]:
    """One line per column of the evaluation set with categories that a version does not know.

    Args:
        said: what its server says; see ``contract.categories``. Anything else says nothing.
        names: the columns that it is sent, in its order.
        dataset: all rows of it are looked at.
    """
    try:
        known = [(names[place], set(values)) for place, values in said["known"]]
        becomes = _BECOMES[said["unknown"]]
        columns = [(name, values, dataset.columns[name]) for name, values in known]
    except (IndexError, KeyError, TypeError, ValueError):
        return []
    lines = []
    for name, values, cells in columns:
        counts = pc.value_counts(cells.drop_null()).to_pylist()
        found = {each["values"]: each["counts"] for each in counts if each["values"] not in values}
        if found:
            shown = ", ".join(map(repr, list(found)[:_SHOWN]))
            more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
            lines.append(
                f"knows no category {shown}{more} of {name!r}, in {sum(found.values()):,} of "
                f"{len(dataset):,} rows: {becomes}"
            )
    return lines
