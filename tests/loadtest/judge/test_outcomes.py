"""What is found by places alone is what sorting finds."""

import numpy as np
import pytest

from loadtest.judge.outcomes import first_places


@pytest.mark.parametrize("numbers", [[], [3], [2, 0, 2, 3, 0, 0], [4, 4, 4]])
def test_first_places_are_those_of_unique(numbers):
    numbers = np.array(numbers, dtype=np.int32)
    for found, expected in zip(first_places(numbers, 5), np.unique(numbers, return_index=True), strict=True):
        np.testing.assert_array_equal(found, expected)
