"""Types of columns: what is a number, what is text, what is missing, and what is said about it."""

import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.column_types import from_arrow, from_text

FLOAT, INT, BOOL, TEXT = pa.float64(), pa.int64(), pa.bool_(), pa.string()


def typed(*cells):
    (column,), _ = from_text([("c", pa.array(cells, pa.string()), False)])
    return column


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (("1", "-2", "+3"), INT, [1, -2, 3]),
        (("1", "2.5", "1e3", ".5", "3."), FLOAT, [1, 2.5, 1000, 0.5, 3]),
        (("True", "FALSE", "true"), BOOL, [True, False, True]),
        # an empty cell is missing everywhere, and an integer stays one beside it
        (("1", "", "3"), INT, [1, None, 3]),
        (("True", ""), BOOL, [True, None]),
        (("a", ""), TEXT, ["a", None]),
        # words for it among numbers only: NA may be Namibia
        (("1", "NA", "null", " nan "), INT, [1, None, None, None]),
        (("1.5", "NaN"), FLOAT, [1.5, None]),
        (("false", "None"), BOOL, [False, None]),
        (("NA", "BW"), TEXT, ["NA", "BW"]),
        (("NA", "NA"), TEXT, ["NA", "NA"]),
        (("", ""), FLOAT, [None, None]),
        # blanks around numbers, as after ', '
        ((" 1", "2 "), INT, [1, 2]),
        ((" a", "b "), TEXT, [" a", "b "]),
        # ids of 19 digits are int64, of 20 no number at all
        (("1234567890123456789", ""), INT, [1234567890123456789, None]),
        (("12345678901234567890", "1"), TEXT, ["12345678901234567890", "1"]),
        # no number would say all of it
        (("1234567890123456789", "0.5"), TEXT, ["1234567890123456789", "0.5"]),
        # what some readers take for numbers
        (("0x1F", "0x2A"), TEXT, ["0x1F", "0x2A"]),
        (("1_000", "2"), TEXT, ["1_000", "2"]),
        (("06:30", "12:30"), TEXT, ["06:30", "12:30"]),
        (("2024-01-31", "2024-02-01"), TEXT, ["2024-01-31", "2024-02-01"]),
        (("12%", "5%"), TEXT, ["12%", "5%"]),
        (("1", "True"), TEXT, ["1", "True"]),
        (("1e5", "1e400"), FLOAT, [1e5, np.inf]),
    ],
)
def test_cells_of_text(cells, kind, values):
    column = typed(*cells)
    assert column.cells.type == kind
    assert column.cells.to_pylist() == values


@pytest.mark.parametrize(
    ("columns", "kinds", "commas"),
    [
        # a fraction that no thousand looks like settles it for the file
        ([("77,6", "5"), ("1,234", "2")], [FLOAT, FLOAT], True),
        ([("0,125", "0,5")], [FLOAT], True),
        ([("77,6", "NA")], [FLOAT], True),
        # thousands, or a fraction?
        ([("1,234", "2,500")], [TEXT], False),
        ([("1,234,567", "2")], [TEXT], False),
        ([("1.234,56", "2.000,10")], [TEXT], False),
        ([("a,5", "1,5")], [TEXT], False),
        # where commas are decimal, 1.234 is a thousand to whoever wrote it
        ([("77,6", "5,1"), ("1.234", "2.500")], [FLOAT, TEXT], True),
        ([("77,6", "5,1"), ("1.5", "2")], [FLOAT, FLOAT], True),
    ],
)
def test_decimal_commas(columns, kinds, commas):
    typed_columns, found = from_text((str(i), pa.array(cells), False) for i, cells in enumerate(columns))
    assert [column.cells.type for column in typed_columns] == kinds
    assert found == commas
    # a column of figures that stays text is never passed over in silence
    assert all(column.note for column in typed_columns if column.cells.type == TEXT and column.name == "1")
    if kinds[0] == FLOAT:
        assert typed_columns[0].cells[0].as_py() == float(columns[0][0].replace(",", "."))


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        (("130", "165", "?"), "column 'c' is text: row 3 reads '?'"),
        (("US", "NA"), "column 'c': 'NA' is text; only empty cells are missing"),
        (("1,234", "2,500"), "'1,234' may have separators of thousands or a decimal comma"),
        (("12345678901234567890", "1"), "float64 does not have all digits of 12345678901234567890"),
        (("01234", "99999"), "column 'c': '01234' is the number 1234"),
        (("a", "b"), None),
        (("1", "2"), None),
        # one figure among words is no mistake
        (("a", "b", "3"), None),
    ],
)
def test_notes_on_what_may_be_a_mistake(cells, note):
    found = typed(*cells).note
    assert (found is None) if note is None else (note in found)


@pytest.mark.parametrize(
    ("cells", "written"),
    [
        (("01", "02"), ["01", "02"]),
        (("1.50", "2.50"), ["1.50", "2.50"]),
        (("1", "2", ""), None),
        (tuple(f"{i}.5" for i in range(5_000)), None),
    ],
)
def test_numbers_keep_how_they_are_written_where_a_slice_may_be_by_it(cells, written):
    kept = typed(*cells).written
    assert (kept.to_pylist() if kept is not None else None) == written


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (pa.array([1, None], pa.int8()), INT, [1, None]),
        (pa.array([2**64 - 1, 1], pa.uint64()), TEXT, ["18446744073709551615", "1"]),
        (pa.array([0.5, None], pa.float32()), FLOAT, [0.5, None]),
        (pa.array([0.5, float("nan")]), FLOAT, [0.5, None]),
        (pa.array([True, None]), BOOL, [True, None]),
        (pa.array(["a", None]).dictionary_encode(), TEXT, ["a", None]),
        (pa.array([1, 2]).dictionary_encode(), INT, [1, 2]),
        (pa.array(["a"], pa.large_string()), TEXT, ["a"]),
        (pa.array([Decimal("1.10"), None]), FLOAT, [1.1, None]),
        (pa.array([Decimal("12"), None], pa.decimal128(38, 0)), INT, [12, None]),
        (pa.array([Decimal("0.12345678901234567890")]), TEXT, ["0.12345678901234567890"]),
        # text of writers that do not say so
        (pa.array(["é".encode(), None], pa.binary()), TEXT, ["é", None]),
        (pa.array([None, None], pa.int64()), FLOAT, [None, None]),
        (pa.array([None, None]), FLOAT, [None, None]),
        (pa.array([datetime.date(2024, 1, 31)]), TEXT, ["2024-01-31"]),
    ],
)
def test_columns_with_a_type(cells, kind, values):
    column = from_arrow("c", pa.chunked_array([cells]))
    assert column.cells.type == kind
    assert column.cells.to_pylist() == values


@pytest.mark.parametrize(
    ("cells", "holds"),
    [
        (pa.array([[1, 2], [3]]), "lists"),
        (pa.array([{"a": 1}]), "records"),
        (pa.array([b"\xff"], pa.binary()), "bytes"),
        (pa.array([datetime.datetime(2024, 1, 31, 6, 30, tzinfo=datetime.UTC)]), "dates or times"),
        (pa.array([datetime.timedelta(1)]), "dates or times"),
        (pa.array([None], pa.int64()), "no values"),
    ],
)
def test_what_no_model_is_sent(cells, holds):
    column = from_arrow("c", pa.chunked_array([cells]))
    assert column.holds == holds
    assert not column.is_number
