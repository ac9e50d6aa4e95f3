"""What is added up a piece at a time is what NumPy adds up at once, to the last digit."""

import numpy as np
import pytest

from loadtest.stats.pieces import PIECE, add_up, pieces, summed, taken, variance


@pytest.mark.parametrize("entries", [0, 1, PIECE - 1, PIECE, 2 * PIECE + 7])
def test_pieces_cover_every_entry_once_and_in_order(entries):
    found = np.concatenate([np.arange(piece.start, piece.stop) for piece in pieces(entries)] or [[]])
    assert np.array_equal(found, np.arange(entries))


def test_sums_and_cells_are_those_of_numpy_to_the_last_digit():
    rng = np.random.default_rng(4)
    n, size = 2 * PIECE + 1000, 37
    numbers, weights = rng.integers(0, size, n).astype(np.int16), rng.lognormal(size=n)
    flags = rng.random(n) < 0.3
    assert np.array_equal(summed(numbers, weights, size), np.bincount(numbers, weights, size))
    assert np.array_equal(summed(numbers, flags, size), np.bincount(numbers, flags, size))
    assert np.array_equal(summed(numbers, None, size + 1), np.bincount(numbers, minlength=size + 1))
    sums = np.zeros(size)
    add_up(sums, numbers[:1000], weights[:1000])
    add_up(sums, numbers[1000:], weights[1000:])
    assert np.array_equal(sums, np.bincount(numbers, weights, size))
    places = rng.permutation(n).astype(np.int32)
    assert np.array_equal(taken(weights, places), weights[places])


@pytest.mark.parametrize("bad", [-1, 5])
def test_a_place_that_there_is_not_is_refused(bad):
    assert len(taken(np.arange(0), np.arange(0))) == 0
    places = np.zeros(PIECE + 2, np.int32)
    places[-1] = bad
    with pytest.raises(IndexError, match=r"places .* of 5 values"):
        taken(np.arange(5), places)


@pytest.mark.parametrize("n", [1, 9, PIECE, PIECE + 1, 2 * PIECE + 20, 5 * PIECE - 3])
@pytest.mark.parametrize("kind", [np.int8, np.float64])
def test_the_variance_is_that_of_numpy_to_the_last_digit(n, kind):
    values = np.random.default_rng(n).normal(0.3, 2.0, n).astype(kind)
    assert variance(values) == float(np.var(values))
