"""Which columns of the evaluation set are sent to which version, and whether each cell arrives as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from contract.counted import counted
from contract.model_toml import Columns, Input
from loadtest.data.dataset import Dataset
from loadtest.data.input_checks import check_cells
from loadtest.errors import DatasetError, ModelError
from loadtest.experiment.experiment import Data

_SHOWN = 8


def read_for(data: Data, inputs: Sequence[Input | Columns]) -> tuple[Data, Dataset]:
    """Read the evaluation set with the columns that the models name, unless ``data`` names some.

    ``inputs`` are of all versions, as far as they have a ``model.toml``.

    Returns:
        ``data``, with the features where the models name others than it would send, and the set.

    Raises:
        DatasetError: the file cannot be read, or lacks a column.
    """
    named = [given.columns for given in inputs if given.columns]
    taken = tuple(dict.fromkeys(name for columns in named for name in columns))
    if data.features or not taken or len(named) < len(inputs):
        return data, Dataset.read(data)
    try:
        dataset = Dataset.read(data)
        if set(dataset.names) == set(taken):
            return data, dataset
    except DatasetError:
        # such as a column that stands there twice, and that no model takes
        pass
    data = data.model_copy(update={"features": taken})
    try:
        return data, Dataset.read(data)
    except DatasetError as error:
        raise DatasetError(f"{error}; the versions take {_listed(taken)}") from None


def check_input(path: Path, given: Input | Columns, dataset: Dataset) -> None:
    """Hold what a version takes against every row of the evaluation set.

    Raises:
        ModelError: it takes other columns.
        DatasetError: a cell would not arrive as it is.
    """
    names = columns_of(given, dataset)
    if given.features != len(names):
        raise ModelError(
            f"{path}: the model takes {counted(given.features, 'feature')}, the experiment would send "
            f"{len(names)} ({_listed(names)}); name them in the model's order under [data] features"
        )
    if missing := [name for name in names if name not in dataset.names]:
        raise ModelError(
            f"{path}: the model takes {_listed(missing)}, which the experiment would not send "
            f"({_listed(dataset.names)}); name the model's columns under [data] features"
        )
    if isinstance(given, Columns):
        for name, datatype in given.datatypes:
            check_cells(str(path), dataset, {name: datatype}, gaps=name not in given.required)
    elif given.datatype != "FP64" or dataset.matrix is None:
        check_cells(str(path), dataset, dict.fromkeys(names, given.datatype), gaps=False)


def columns_of(given: Input | Columns | None, dataset: Dataset) -> tuple[str, ...]:
    """The columns that a version is sent, in its order; None: it did not say which it takes."""
    return (given and given.columns) or dataset.names


def sent_lines(sent: Mapping[str, Sequence[str]], names: Sequence[str]) -> list[str]:
    """Which columns are sent to which version, a line each, or one where they are the same.

    Args:
        sent: by version or role, in its order.
        names: all columns that are sent to any.
    """
    if len({frozenset(taken) for taken in sent.values()}) == 1:
        to = {1: next(iter(sent)), 2: "both versions"}.get(len(sent), "all versions")
        return [f"sent to {to}: {_listed(next(iter(sent.values())))}"]
    lines = []
    for version, taken in sent.items():
        rest = [name for name in names if name not in taken]
        without = f"; not {_listed(rest)}, which it does not take" if rest else ""
        lines.append(f"sent to {version}: {_listed(taken)}{without}")
    return lines


def output_lines(outputs: Mapping[str, str], truths: Mapping[str, str]) -> list[str]:
    """Which of several values per row the gates are about, where a version gives several.

    Args:
        outputs: by role, ``output`` of its ``model.toml``; empty: it gives one.
        truths: ``outputs`` of the experiment's ``[data]``.
    """
    pairs = _listed([f"{name} with {column}" for name, column in truths.items()])
    return [*_answers(outputs), *([f"outputs compared with their true values: {pairs}"] if truths else ())]


def _answers(outputs: Mapping[str, str]) -> list[str]:
    if not any(outputs.values()):
        return []
    if len(set(outputs.values())) == 1:
        return [f"the gates are about the output {next(iter(outputs.values()))!r} of both versions"]
    each = (
        f"{f'the output {name!r}' if name else 'the only output'} of {of}" for of, name in outputs.items()
    )
    return [f"the gates are about {' and '.join(each)}"]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
