"""Counts in messages."""

import pytest

from contract.counted import counted


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (2000, "2,000 rows")]
)
def test_counted(count: int, words: str) -> None:
    assert counted(count, "row") == words
