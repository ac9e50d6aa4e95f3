"""The simulated lists of the calibration: ranks of the wanted items are those in the sorted scores."""

import numpy as np
import pytest

from benchmarks.calibration.rankings import CATALOGUE, KINDS, METRICS, OWN, K, Rows, estimate


@pytest.mark.parametrize("kind", KINDS)
def test_ranks_are_those_of_the_sorted_scores(kind):
    rows = Rows.draw(50, KINDS[kind], np.random.default_rng(1))
    order = np.argsort(-(rows.shared + np.float32(OWN) * rows.own), axis=1)[:, :K]
    found = np.zeros((50, CATALOGUE))
    hits = rows.hits(rows.own, OWN)
    found[hits.arrival, hits.rank] = hits.gain
    np.testing.assert_array_equal(found[:, :K], np.take_along_axis(rows.gain, order, axis=1))


@pytest.mark.parametrize("name", METRICS["1 to 4 items"])
def test_pairs_make_the_interval_narrower(name):
    rows = Rows.draw(400, 4, np.random.default_rng(2))
    stable, candidate = (rows.values(name, rows.hits(own, OWN)) for own in (rows.own, rows.other))
    paired, unpaired = (
        np.ptp(estimate(name, stable, candidate, paired=each).interval(0.05)) for each in (True, False)
    )
    assert paired < unpaired
