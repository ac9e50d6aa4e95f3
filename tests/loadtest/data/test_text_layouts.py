"""Text that is laid out otherwise than CSV: the remedy, followed, gives every cell as it is written."""

import pandas as pd
import pytest

from loadtest.data.csv_text import read_csv
from loadtest.errors import DatasetError

# beyond the 100 rows from which pandas finds the places by default, ids grow by a digit
IDS = [*range(899, 1004)]


def right(*cells):
    """A line with each cell at the right end of its place."""
    return "".join(cell.rjust(width) for cell, width in zip(cells, (9, 14, 8), strict=True)) + "\n"


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        # as R prints a data frame, and lifelines' divorce.dat is: blanks inside of cells
        (
            right("id", "heduc", "years") + "".join(right(str(i), "< 12 years", "2.5") for i in IDS)
            + right("7", "12-15 years", "10.0"),
            ["id", "heduc", "years"],
            [*([str(i), "< 12 years", "2.5"] for i in IDS), ["7", "12-15 years", "10.0"]],
        ),
        # cells that are empty: only their places tell which
        (
            right("id", "kind", "years") + "".join(right(str(i), i % 2 * "abc", "2.5") for i in IDS),
            ["id", "kind", "years"],
            [[str(i), i % 2 * "abc", "2.5"] for i in IDS],
        ),
        # one blank between cells
        ("a b label\n1 2 x\n3 4 y\n", ["a", "b", "label"], [["1", "2", "x"], ["3", "4", "y"]]),
    ],
    ids=["two blanks", "places", "one blank"],
)  # fmt: skip
def test_the_remedy_works(tmp_path, monkeypatch, text, names, rows):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.txt").write_text(text)
    with pytest.raises(DatasetError, match="separated by blanks") as caught:
        read_csv(tmp_path / "rows.txt", text.encode())
    eval(str(caught.value).partition("write commas: ")[2], {"pandas": pd})
    table = read_csv(tmp_path / "evaluation.csv", (tmp_path / "evaluation.csv").read_bytes())
    assert list(table.names) == names
    assert [list(row) for row in zip(*(column.to_pylist() for column in table.columns), strict=True)] == rows
