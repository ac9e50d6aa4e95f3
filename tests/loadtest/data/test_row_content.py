import numpy as np
import pytest

from loadtest.data.row_content import contents

NAN_WITH_OTHER_BITS = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)[0]


@pytest.mark.parametrize(
    ("features", "labels", "first"),
    [
        ([[1, 2], [1, 2], [2, 1]], ["a", "a", "a"], [0, 0, 2]),
        # what truly happened belongs to the content
        ([[1, 2], [1, 2], [1, 2]], ["a", "b", "a"], [0, 1, 0]),
        ([[1, 2], [1, 2]], [0.5, 0.25], [0, 1]),
        ([[1, 2], [1, 2]], [0.5, 0.5], [0, 0]),
        # columns that change places make another row, and so does a sum that stays
        ([[0, 1, 2], [2, 1, 0], [1, 1, 1]], ["a"] * 3, [0, 1, 2]),
        # a missing cell is a missing cell, and zero has no sign
        ([[np.nan, 0.0], [NAN_WITH_OTHER_BITS, -0.0], [0.0, np.nan]], ["a"] * 3, [0, 0, 2]),
        # the last bit counts
        ([[1.0], [np.nextafter(1.0, 2.0)]], ["a", "a"], [0, 1]),
        ([[], []], ["a", "b"], [0, 1]),
    ],
)
def test_rows_with_the_same_features_and_label_are_one(features, labels, first):
    assert contents(np.array(features, dtype=np.float64), np.array(labels)).tolist() == first


def test_a_hundred_thousand_different_rows_stay_so():
    rng = np.random.default_rng(1)
    features = rng.integers(0, 50, (100_000, 4)).astype(np.float64)
    labels = rng.choice(["yes", "no"], 100_000)
    distinct = {(*row, label) for row, label in zip(features.tolist(), labels.tolist(), strict=True)}
    assert len(np.unique(contents(features, labels))) == len(distinct)
