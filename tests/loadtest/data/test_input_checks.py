"""What would not reach a model as the file has it, is found in every row."""

import math

import pyarrow as pa
import pytest

from contract.text_columns import DataFile
from loadtest.data.input_checks import misfit


@pytest.mark.parametrize(
    ("cells", "datatype", "says"),
    [
        ([1, 2], "FP64", None),
        ([1.5, -0.1], "FP32", None),  # a float's last digits are the model's own business
        ([2**24, -(2**24)], "FP32", None),
        (
            [2**24 + 1],
            "FP32",
            "beyond 2^24, such as 16777217, which FP32 rounds; leave it out if it is an id",
        ),
        ([1, -(2**24) - 1], "FP32", "such as -16777217"),
        ([float(2**24 + 1)], "FP32", None),  # with a decimal point it is an amount
        ([2**53 + 1], "FP64", "beyond 2^53"),
        ([2049], "FP16", "beyond 2^11"),
        ([1.0, 70000.0], "FP16", "reads 70000, which is too large for FP16"),
        ([-1e39, 1.0], "FP32", "reads -1e+39, which is too large for FP32"),
        ([math.inf], "FP64", "has 1 infinite cell;"),
        ([1.0, 2.0], "INT64", None),
        ([2**63 - 1], "INT64", None),
        ([1.0, 2.5], "INT64", "reads 2.5, which INT64 would cut to 2"),
        ([-0.5], "INT32", "reads -0.5, which INT32 would cut to 0"),
        ([1, 2**31], "INT32", "reads 2147483648, INT32 ends at 2147483647"),
        ([1e19], "INT64", "reads 10000000000000000000, INT64 ends at 9223372036854775807"),
        ([0, 255], "UINT8", None),
        ([-1, 5], "UINT8", "reads -1, UINT8 ends at 0"),
        (["a", ""], "BYTES", None),
        (
            [1, 2],
            "BYTES",
            "holds integers, such as 1, the model takes text; CSV does not tell text from numbers",
        ),
        (["a"], "FP64", "holds text, such as 'a', the model takes FP64; write numbers there"),
        (["7%"], "FP64", "such as '7%', the model takes FP64; for 7, write numbers: pandas.read_csv"),
        ([True, False], "BOOL", None),
        ([True, False], "INT8", None),
        ([0, 1], "BOOL", None),
        ([0, 2], "BOOL", "reads 2, the model takes true or false"),
    ],
)
def test_cells_that_a_datatype_takes_or_not(cells, datatype, says):
    said = misfit("a", pa.chunked_array([cells]), datatype, DataFile("rows.csv"), gaps=False)
    assert (said == "") == (says is None), said
    assert (says or "") in said
    # where cells may be missing, the others are held to the same
    with_gaps = pa.chunked_array([pa.array([*cells, None])])
    assert misfit("a", with_gaps, datatype, DataFile("rows.csv"), gaps=True) == said
    assert "has 1 gap, the model takes none" in misfit(
        "a", with_gaps, datatype, DataFile("rows.csv"), gaps=False
    )


def test_a_column_of_gaps():
    assert (
        misfit("a", pa.chunked_array([pa.nulls(2, pa.float64())]), "INT64", DataFile("rows.csv"), gaps=True)
        == ""
    )
