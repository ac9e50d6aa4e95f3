"""Which columns of a file are not sent, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from loadtest.data.table_file import TableFile
from loadtest.experiment.experiment import Data

_SHOWN = 8


def left_out_of(file: TableFile) -> dict[str, str]:
    """The columns that are not sent of themselves, and why."""
    why = {n: f"stands there {len(same)} times: rename or drop" for n, same in file.doubled.items()}
    for name in file.index:
        why.setdefault(name, "the index of a data frame" if name else "has no name")
    for column in file.columns.values():
        if column.holds is not None:
            why.setdefault(
                column.name, f"has {column.holds}" if column.holds[:3] == "no " else f"holds {column.holds}"
            )
    return why


def not_sent(table: pa.Table, names: Iterable[str], data: Data, left_out: Mapping[str, str]) -> list[str]:
    """The line that says which columns are not sent, and why; empty where all are."""
    sent = {*names, *data.outcome_columns}
    why = {name: reason for name, reason in left_out.items() if name not in sent}
    for name in table.column_names:
        if name not in sent and name not in why:
            why[name] = "not among the features" if data.features else "text"
    return [f"not sent: {listed(why.items())}"] if why else []


def no_features(file: TableFile, data: Data, left_out: Mapping[str, str]) -> str:
    """Why no column is sent, and what to do: text is sent where it is named."""
    why = f"; left out: {listed(left_out.items())}" if left_out else ""
    text = [name for name in file.columns if name not in (data.label_column, data.value, *left_out)]
    if text:
        return f"no numeric feature columns beside the label; name them in [data] features{why}"
    return f"no feature columns beside the label; write one of numbers or text that a model can be sent{why}"


def listed(reasons: Iterable[tuple[str, str]]) -> str:
    """Columns and why each is left out, in one line; of many, the first ones and how many more."""
    parts = [f"{shown(name)} ({reason})" for name, reason in reasons]
    more = f" and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
    return ", ".join(parts[:_SHOWN]) + more


def shown(name: str) -> str:
    """A name as it is, in quotes where it would be lost in a line."""
    plain = name and name == name.strip() and name.isprintable() and not set(name) & set(",;")
    return name if plain else repr(name)


def copies_of_the_label(table: pa.Table, names: Iterable[str], label: str) -> list[str]:
    """A line per column that is sent and is the label: a model that is told it is always right."""
    truth = pc.cast(table[label], pa.string()) if _is_plain(table[label].type) else None
    if truth is None or pc.count_distinct(truth).as_py() < 2:
        return []
    return [
        f"{shown(name)} reads the label on every row: leave it out, unless it is known before the answer"
        for name in names
        if _is_plain(table[name].type) and table[name].cast(pa.string()).equals(truth)
    ]


def _is_plain(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_primitive(kind))
