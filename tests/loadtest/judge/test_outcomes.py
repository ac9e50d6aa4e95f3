"""What is found by places alone is what sorting finds."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from loadtest.experiment.experiment import Load
from loadtest.experiment.role import ROLES
from loadtest.judge.arrival_pairs import pairs_of
from loadtest.judge.layout import lay_out
from loadtest.judge.outcomes import first_places
from loadtest.judge.paired_outcomes import Evidence
from tests.loadtest.made_samples import Sample, sample_set


@pytest.mark.parametrize("numbers", [[], [3], [2, 0, 2, 3, 0, 0], [4, 4, 4]])
def test_first_places_are_those_of_unique(numbers):
    numbers = np.array(numbers, dtype=np.int32)
    for found, expected in zip(
        first_places(numbers, np.arange(5)), np.unique(numbers, return_index=True), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("seed", range(6))
def test_pairs_are_found_whatever_the_order_and_however_many_come_at_one_instant(seed):
    rng = np.random.default_rng(seed)
    # few instants, rows and workers: the same instant for several arrivals, and halves that are missing
    keys = {(rng.integers(9) / 4, int(rng.integers(4)), int(rng.integers(3))) for _ in range(40)}
    made = [
        Sample(row, role, at, at, at + 0.5, 200, None, "1", True, None, worker)
        for at, row, worker in keys
        for role in ("stable", "candidate")
        if rng.random() < 0.9
    ]
    made = [made[place] for place in rng.permutation(len(made))]
    if seed == 0:  # as they nearly come
        made.sort(key=lambda one: (one.scheduled_at, one.row, one.worker))
    there = {role: {(s.scheduled_at, s.row, s.worker) for s in made if s.role == role} for role in ROLES}
    both = sorted(there["stable"] & there["candidate"])
    samples = sample_set(made)
    for most in (1, 5, 1000):
        pairs = pairs_of(samples, samples.is_role("candidate"), most)
        for places, role in zip(pairs, ROLES, strict=True):
            found = [made[place] for place in places.tolist()]
            assert [(s.scheduled_at, s.row, s.worker) for s in found] == both
            assert {s.role for s in found} <= {role}


def test_a_part_is_cut_out_of_every_column_and_a_part_of_a_part_too():
    load = Load(rate=10, duration=4.0, timeout=2.0)
    samples = sample_set(
        Sample(n, role, n / 10, n / 10, n / 10 + 0.1 * (n % 3), 0 if n % 7 == 0 else 200,
               "timeout" if n % 7 == 0 else None, None if n % 7 == 0 else str(n % 2), n % 2 == 0,
               None if n % 7 == 0 else n % 5 != 0, 0, f"r-{role}-{n}" if n % 5 == 0 else None,
               "1" if n % 5 == 0 else None, [None, True, False][n % 3], [n / 40, 0.5])
        for n in range(40) for role in ROLES
    )  # fmt: skip
    whole, _ = lay_out(load, samples, 0.0)
    assert len(whole) == 40
    assert whole.asked_before.tolist() == [[-1, 1, 0][n % 3] for n in range(40)]
    assert whole.failed.tolist() == [n % 7 == 0 for n in range(40)]
    kept = np.array([3, 5, 7, 10, 35, 20])
    part = whole.take(kept).take(np.array([1, 3, 4, 5])).then(whole.part(10, 12))
    places = [5, 10, 35, 20, 10, 11]
    assert len(part) == len(places)
    for field in dataclasses.fields(whole):
        column, cut = getattr(whole, field.name), getattr(part, field.name)
        assert [_cell(cut, i) for i in range(6)] == [_cell(column, place) for place in places], field.name
    assert [_cell(part.request_id, i) for i in range(2)] == ["r-stable-5", "r-stable-10"]
    assert len(whole.take(kept)) == 6
    # requests of one row have no column of sizes, whole or in part
    assert whole.size.strides == whole.take(kept).size.strides == whole.part(1, 5).size.strides == (0,)
    assert whole.requests is whole
    with pytest.raises(AttributeError, match="nothing"):
        _ = whole.nothing


def _cell(column, place):
    cell = column[place]
    return cell.as_py() if isinstance(cell, pa.Scalar) else cell


def test_what_is_the_same_of_both_versions_is_held_once_in_a_part_too():
    samples = sample_set(
        Sample(n % 5, role, n / 10, n / 10, n / 10 + 0.1, 200, None, "1", True, None, 0)
        for n in range(20)
        for role in ROLES
    )
    whole = Evidence.gather(Load(rate=10, duration=2.0), samples, 2.0)
    for part in (whole, whole.first_of_each_row(np.arange(5)), whole.slice(np.arange(5) < 3)):
        assert part.candidate.row is part.stable.row
        assert part.candidate.scheduled_at is part.stable.scheduled_at
