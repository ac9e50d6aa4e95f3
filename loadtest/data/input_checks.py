"""Whether the cells of a column reach a model as the file has them, in the datatype that it takes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contract.counted import counted
from contract.datatypes import FLOATS, INTEGERS
from contract.text_columns import DataFile, as_text
from loadtest.data.column_types import EXACT
from loadtest.data.dataset import Dataset
from loadtest.data.written_numbers import as_numbers, written_numbers
from loadtest.errors import DatasetError

_EXACT = {"FP16": 2**11, "FP32": 2**24, "FP64": EXACT}
"""Up to here a float has every whole number."""
_WORDS = {"double": "numbers", "int64": "integers", "bool": "true and false", "string": "text"}


def misfit(name: str, cells: pa.ChunkedArray, datatype: str, file: DataFile, *, gaps: bool) -> str:
    """Why cells would not arrive as they are, and what to do about it; empty: they arrive.

    The cells are float64, int64, bool or string, and ``datatype`` is a name of the Open Inference Protocol.
    ``gaps``: a cell may be missing.
    """
    if cells.null_count and not gaps:
        return (
            f"has {counted(cells.null_count, 'gap')}, the model takes none; fill gaps as the caller in "
            "production does"
        )
    holds = _WORDS[str(cells.type)]
    if (datatype == "BYTES") != pa.types.is_string(cells.type):
        cell = next((cell for cell in cells.to_pylist() if cell is not None), None)
        if datatype == "BYTES":
            return f"holds {holds}, such as {cell!r}, the model takes text; {as_text([name], file)}"
        what = "write true or false there" if datatype == "BOOL" else "write numbers there"
        if holds == "text" and datatype != "BOOL" and (found := written_numbers(cells, file)):
            cell, what = found.example, f"for {found.value}, {as_numbers({name: found}, file)}"
        return f"holds {holds}, such as {cell!r}, the model takes {datatype}; {what}"
    if datatype == "BYTES" or pa.types.is_boolean(cells.type):
        return ""
    numbers = pc.drop_null(cells).to_numpy()
    if not len(numbers):
        return ""
    if datatype == "BOOL":
        odd = numbers[(numbers != 0) & (numbers != 1)]
        return f"reads {odd[0]:g}, the model takes true or false; write these" if len(odd) else ""
    if numbers.dtype.kind == "f" and (infinite := int(np.count_nonzero(~np.isfinite(numbers)))):
        return f"has {counted(infinite, 'infinite cell')}; send finite numbers"
    return _of_integers(numbers, datatype) if datatype in INTEGERS else _of_floats(numbers, datatype)


def check_cells(who: str, dataset: Dataset, datatypes: Mapping[str, str], *, gaps: bool) -> None:
    """Hold columns of the evaluation set against what a model takes.

    ``who`` is the model or its file. ``gaps``: a cell may be missing.

    Raises:
        DatasetError: a cell would not arrive as it is.
    """
    for name, datatype in datatypes.items():
        if why := misfit(name, dataset.columns[name], datatype, dataset.file, gaps=gaps):
            raise DatasetError(f"{dataset.path}: column {name!r} {why} ({who})")


def _of_integers(numbers: NDArray[np.float64] | NDArray[np.int64], datatype: str) -> str:
    if numbers.dtype.kind == "f" and len(broken := numbers[numbers != np.floor(numbers)]):
        return (
            f"reads {broken[0]:g}, which {datatype} would cut to {int(broken[0])}; train the model on floats"
        )
    limits = np.iinfo(np.dtype(INTEGERS[datatype]))
    for number in (numbers.min(), numbers.max()):
        # as Python's integers: as float64 the largest int64 rounds up
        if not limits.min <= int(number) <= limits.max:
            return f"reads {int(number)}, {datatype} ends at {limits.min if number < 0 else limits.max}"
    return ""


def _of_floats(numbers: NDArray[np.float64] | NDArray[np.int64], datatype: str) -> str:
    low, high = numbers.min(), numbers.max()
    largest = high if abs(float(high)) >= abs(float(low)) else low
    if abs(float(largest)) > float(np.finfo(np.dtype(FLOATS[datatype])).max):
        return f"reads {largest:g}, which is too large for {datatype}"
    exact = _EXACT[datatype]
    if numbers.dtype.kind == "i" and abs(int(largest)) > exact:
        bits = exact.bit_length() - 1
        return (
            f"holds whole numbers beyond 2^{bits}, such as {int(largest)}, which {datatype} rounds; "
            "leave it out if it is an id, write it with a decimal point if rounding does no harm"
        )
    return ""
