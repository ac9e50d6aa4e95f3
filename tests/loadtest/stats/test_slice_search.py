"""What is found, what is not, and each number of it against a count by hand or SciPy."""

import itertools

import numpy as np
import pytest
from scipy import stats

from loadtest.stats import slice_search
from loadtest.stats.slice_search import search


def drawn(rows: int, seed: int = 1, columns: int = 6, levels: int = 5):
    """Columns of which one in ten cells is in no level, and signs of two equal versions."""
    rng = np.random.default_rng(seed)
    codes = [rng.integers(0, levels, rows).astype(np.int16) for _ in range(columns)]
    for column in codes:
        column[rng.random(rows) < 0.1] = -1
    return codes, rng.choice([-1, 0, 1], rows, p=[0.05, 0.9, 0.05]).astype(np.int8), rng


def test_every_pair_of_levels_is_counted():
    codes, sign, _ = drawn(3000, columns=4)
    slices = sum(int((column == level).sum() >= 50) for column in codes for level in range(5))
    for first, second in itertools.combinations(codes, 2):
        for one, other in itertools.product(range(5), range(5)):
            slices += int(((first == one) & (second == other)).sum() >= 50)
    assert search(codes, sign).slices == slices
    assert search(codes, sign).rows == 3000


# a level, two levels of two columns that are far from one another
@pytest.mark.parametrize("levels", [((2, 3),), ((0, 1), (5, 4))])
def test_a_broken_slice_is_found_once_and_counted(levels):
    codes, sign, rng = drawn(4000)
    inside = np.logical_and.reduce([codes[column] == level for column, level in levels])
    sign[inside & (rng.random(4000) < 0.5)] = 1
    (found,) = search(codes, sign).found
    assert found.levels == levels
    assert found.rows == inside.sum()
    assert (found.worse, found.better) == ((sign[inside] > 0).sum(), (sign[inside] < 0).sum())
    assert found.chance < 1e-4
    assert (slice_search.rows_of(found, codes) == inside).all()


def test_two_broken_slices_are_two_finds():
    codes, sign, rng = drawn(6000)
    for column, level in ((0, 1), (3, 2)):
        sign[(codes[column] == level) & (rng.random(6000) < 0.4)] = 1
    assert {one.levels for one in search(codes, sign).found} == {((0, 1),), ((3, 2),)}


# equal versions, one worse everywhere, one better everywhere, nothing differs, one column of one level
@pytest.mark.parametrize("kind", ["equal", "worse", "better", "same", "one level"])
def test_nothing_is_found_where_no_slice_is_worse_than_the_rest(kind):
    codes, sign, rng = drawn(5000, seed=3)
    everywhere = rng.random(5000) < 0.2
    if kind in ("worse", "better"):
        sign[everywhere] = 1 if kind == "worse" else -1
    elif kind == "same":
        sign[:] = 0
    elif kind == "one level":
        codes, sign = [np.zeros(5000, dtype=np.int16)], np.ones(5000, dtype=np.int8)
    assert search(codes, sign).found == []


@pytest.mark.parametrize("codes", [[], [np.full(200, -1, dtype=np.int16)]])
def test_no_column_no_slice(codes):
    assert search(codes, np.ones(200, dtype=np.int8)).slices == 0


def test_fifty_rows_are_needed():
    codes = [np.repeat([0, 1], [49, 951]).astype(np.int16)]
    sign = np.where(codes[0] == 0, 1, 0).astype(np.int8)
    assert search(codes, sign).found == []
    codes[0][49], sign[49] = 0, 1
    assert [one.rows for one in search(codes, sign).found] == [50]


def test_the_sign_test_is_the_exact_binomial():
    for worse, better in ((0, 0), (0, 5), (1, 0), (7, 2), (30, 30), (200, 90)):
        exact = stats.binomtest(worse, worse + better, alternative="greater").pvalue if worse + better else 1
        assert slice_search.sign_test(np.array(float(worse)), np.array(float(better))) == pytest.approx(exact)


def test_the_chance_of_as_many_among_rows_drawn_by_lot_is_never_too_small():
    rows, worse = 2000, 150
    for size, hits in itertools.product((50, 300, 1500), range(0, 140, 7)):
        counts = slice_search.Counts(*(np.array([float(n)]) for n in (size, min(hits, size), 0)))
        total = slice_search.Counts(*(np.array(float(n)) for n in (rows, worse, 0)))
        exact = stats.hypergeom.sf(min(hits, size) - 1, rows, worse, size)
        assert slice_search.more_than_all(counts, total)[0] >= exact - 1e-12


def test_of_too_many_rows_some_are_drawn_by_lot():
    codes, sign, rng = drawn(30_000, columns=200, levels=4)
    sign[(codes[0] == 1) & (rng.random(30_000) < 0.5)] = 1
    result = search(codes, sign, work=1e9)
    assert result.rows == 1e9 // 600**2
    assert [one.levels for one in result.found] == [((0, 1),)]


def test_chance_finds_are_rare():
    finds = 0
    for seed in range(60):
        codes, sign, _ = drawn(1000, seed, columns=8)
        finds += bool(search(codes, sign).found)
    assert finds <= 3
