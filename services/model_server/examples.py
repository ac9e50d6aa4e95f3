"""``examples.parquet``: rows of the evaluation set in the version folder, on which a model is tried.

A made-up row may be one that the model cannot take: a category of 0, the logarithm of 0, a division by a
feature. Where there is no such file, a matrix is tried on zeros, and columns are not served.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.counted import counted
from contract.version_folder import EXAMPLES
from services.model_server.columns import Columns, Rows, column
from services.model_server.errors import VersionError, one_line
from services.model_server.tensors import DTYPES, Input, TensorSpec

ROWS = 100
"""The most rows that are kept, and that a model is tried on when it is loaded."""


def read_examples(folder: Path, given: Input, names: tuple[str, ...] | None) -> Rows:
    """Rows of an input, from the version folder's examples.

    ``names`` are of a matrix's features; None: the first columns of the file are these.

    Raises:
        VersionError: there are none where the input is columns, the file is unreadable, or lacks a column.
    """
    path = folder / EXAMPLES
    if not path.exists():
        if isinstance(given, TensorSpec):
            return np.zeros((1, *given.shape[1:]), given.dtype)
        raise VersionError(
            f"{path}: missing; named columns are tried on rows that exist, `loadproof init {folder.parent}` "
            "writes them"
        )
    cells = _read(path)
    if not cells or not len(next(iter(cells.values()))):
        raise VersionError(
            f"{path}: holds no rows; delete it, and `loadproof init {folder.parent}` writes it anew"
        )
    if isinstance(given, tuple):
        _check_names(path, cells, [spec.name for spec in given])
        return Columns({spec.name: _column(path, spec, cells[spec.name]) for spec in given})
    features = int(np.prod(given.shape[1:]))
    names = names if names is not None and len(names) == features else tuple(cells)[:features]
    _check_names(path, cells, names)
    if len(names) != features:
        raise VersionError(
            f"{path}: has {counted(len(names), 'column')}, the model takes "
            f"{counted(features, 'feature')}; make them agree"
        )
    try:
        matrix = np.column_stack([np.asarray(cells[name], np.float64) for name in names])
    except (TypeError, ValueError) as error:
        raise VersionError(f"{path}: a matrix holds numbers only ({one_line(error)}); correct it") from error
    if not np.isfinite(matrix).all():
        raise VersionError(
            f"{path}: a matrix has no missing cells; correct it, or name [columns] in model.toml"
        )
    if given.datatype.startswith("INT") and (matrix % 1).any():
        raise VersionError(
            f"{path}: has fractions, the model takes {given.datatype}; correct it or the model"
        )
    return matrix.astype(DTYPES[given.datatype]).reshape(-1, *given.shape[1:])


def write_examples(folder: Path, columns: Mapping[str, list[Any]]) -> None:
    """Write cells by column, None where one is missing, as the version folder's examples.

    Raises:
        VersionError: the file cannot be written.
    """
    import pandas as pd

    kept = {name: pd.array(cells[:ROWS], _dtype(cells)) for name, cells in columns.items()}
    path = folder / EXAMPLES
    try:
        with _fastparquet() as fastparquet:
            fastparquet.write(str(path), pd.DataFrame(kept), write_index=False)
    except OSError as error:
        raise VersionError(f"{path}: cannot be written ({error.strerror})") from error


@contextmanager
def _fastparquet() -> Iterator[Any]:
    """The reader of Parquet that is a tenth of Arrow's size; pandas' warnings of it concern no model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import fastparquet

        yield fastparquet


def _dtype(cells: list[Any]) -> str:
    """pandas' nullable type of a column, which keeps integers beside gaps what they are."""
    kinds = {type(cell) for cell in cells} - {type(None)}
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "Int64"
    return "Float64" if kinds <= {int, float} else "object"


def _read(path: Path) -> dict[str, list[Any]]:
    try:
        with _fastparquet() as fastparquet:
            file = fastparquet.ParquetFile(str(path))
            # of a file without rows the reader fails on the first
            frame = file.head(ROWS).astype(object) if file.count() else None
        if frame is None:
            return {}
        return {str(name): frame[name].where(frame[name].notna(), None).tolist() for name in frame.columns}
    except Exception as error:
        # a reader of files raises whatever a broken one makes it raise
        raise VersionError(
            f"{path}: not readable as Parquet ({one_line(error)}); delete it, and `loadproof init "
            f"{path.parent.parent}` writes it anew"
        ) from error


def _check_names(path: Path, cells: Mapping[str, Any], names: list[str] | tuple[str, ...]) -> None:
    if missing := [name for name in names if name not in cells]:
        raise VersionError(
            f"{path}: has no column {', '.join(map(repr, missing[:5]))}; delete it, and `loadproof init "
            f"{path.parent.parent}` writes it anew"
        )


def _column(path: Path, spec: TensorSpec, cells: list[Any]) -> NDArray[Any]:
    wanted: type = {"BYTES": str, "BOOL": bool, "INT64": int, "FP64": float}[spec.datatype]
    for cell in cells:
        fits = isinstance(cell, wanted) or (wanted is float and type(cell) is int)
        if cell is not None and (not fits or (wanted is int and type(cell) is bool)):
            raise VersionError(
                f"{path}: column {spec.name!r} holds {cell!r}, model.toml says {spec.datatype}; make "
                "them agree"
            )
    try:
        return column(cells, spec.datatype)
    except ValueError as error:
        raise VersionError(f"{path}: column {spec.name!r}: {error}") from error
