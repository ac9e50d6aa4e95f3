"""Holm's procedure on worked examples."""

import pytest

from loadtest.judge.significance import holm


@pytest.mark.parametrize(
    ("p_values", "refused"),
    [
        (
            [0.01, 0.04, 0.03, 0.005],
            [True, False, False, True],
        ),  # 0.005 <= .05/4, 0.01 <= .05/3, 0.03 > .05/2
        ([0.04, 0.03], [False, False]),  # 0.03 > .05/2, and the search ends there
        ([0.04], [True]),  # alone, no correction
        ([0.0, 1.0, 1.0], [True, False, False]),
        ([], []),
    ],
)
def test_holm(p_values, refused):
    assert holm(p_values, 0.05) == refused
