"""Cells of categories that a model does not know are shown, by version and column."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.data.dataset import Dataset
from loadtest.data.unknown_categories import unknown_categories
from loadtest.experiment.experiment import Data

ROWS = """city,store,age,label
Basel,1,30,a
Bern,2,,b
Zug,7,41.5,a
Bern,2,30,b
,2,30,b
"""
MISSING = "it takes such a cell for a missing one"


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        ({"known": [[0, ["Basel", "Bern", "Zug", "Genf"]]], "unknown": "missing"}, []),
        (
            {"known": [[0, ["Basel"]], [1, [1, 2]]], "unknown": "missing"},
            [
                f"knows no category 'Bern', 'Zug' of 'city', in 3 of 5 rows: {MISSING}",
                f"knows no category 7 of 'store', in 1 of 5 rows: {MISSING}",
            ],
        ),
        # whole numbers beside others are floats
        (
            {"known": [[2, [30]]], "unknown": "refused"},
            ["knows no category 41.5 of 'age', in 1 of 5 rows: it refuses such a row"],
        ),
        # what no server of ours says
        (None, []),
        ([1], []),
        ({"known": [[9, ["a"]]], "unknown": "missing"}, []),
        ({"known": [[0, [["a"]]]], "unknown": "missing"}, []),
        ({"known": [[0, ["Basel"]]], "unknown": "x"}, []),
    ],
)  # fmt: skip
def test_unknown_categories(tmp_path: Any, said: Any, lines: list[str]) -> None:
    (tmp_path / "rows.csv").write_text(ROWS)
    dataset = Dataset.read(Data(path=tmp_path / "rows.csv", label="label"))
    assert unknown_categories(said, ["city", "store", "age"], dataset) == lines


def test_no_more_than_three_are_named(tmp_path: Any) -> None:
    (tmp_path / "rows.csv").write_text("city,age,label\n" + "".join(f"c{n},1,a\n" for n in range(5)))
    dataset = Dataset.read(Data(path=tmp_path / "rows.csv", label="label"))
    (line,) = unknown_categories({"known": [[0, []]], "unknown": "missing"}, ["city"], dataset)
    assert line.startswith("knows no category 'c0', 'c1', 'c2' and 2 more of 'city', in 5 of 5 rows")
