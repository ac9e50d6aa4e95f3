from pathlib import Path

import numpy as np
import pyarrow as pa

from loadtest.data.baseline import Comparison, ScoredAnswer
from loadtest.data.dataset import Dataset
from loadtest.load.baseline.late_answers import compare_late
from tests.loadtest.made_samples import Sample, sample_set

DATASET = Dataset(
    Path("e.csv"), np.arange(4.0)[:, None], ("x",), np.array(["0", "1", "0", "1"]), None, pa.table({})
)


def sample(row, role, prediction, matches=None, error=None, request_id="id", baseline=None):
    return Sample(
        row, role, 1.0, 1.0, 1.1, 200, error, prediction, prediction == "1", matches, 0, request_id, baseline
    )


def test_what_waited_for_its_comparison_gets_it():
    table = [
        # compared under load already, with the clean half: it stays
        (sample(0, "candidate", "1", True, request_id=None), (True, None, None)),
        (sample(0, "candidate", "0", False, baseline="1"), (False, "id", "1")),
        # the answer that came after the load, and another one
        (sample(1, "candidate", "1"), (True, None, None)),
        (sample(1, "candidate", "0"), (False, "id", "1")),
        # broken under load
        (sample(1, "candidate", None, error="malformed answer"), (False, "id", "1")),
        # an error, which other gates count
        (sample(1, "candidate", None, error="timeout"), (None, "id", None)),
        # asked, and not answered; never asked; another version: nothing to compare with
        (sample(2, "candidate", "1"), (None, None, None)),
        (sample(3, "candidate", "1"), (None, None, None)),
        (sample(1, "stable", "0"), (None, None, None)),
    ]
    known = {"candidate": Comparison(DATASET, {0: "1", 1: "1", 2: None})}
    samples = compare_late(sample_set(before for before, _ in table), known)
    columns = [samples.table[name].to_pylist() for name in ("matches", "request_id", "baseline")]
    assert list(zip(*columns, strict=True)) == [after for _, after in table]


def test_scores_are_compared_late_too():
    known = {row: ScoredAnswer("1", (1 - score, score)) for row, score in enumerate((0.75, 0.5, 0.875))}
    given = [(0.25, 0.75), (0.5, 0.5)]
    waiting = [sample(0, "candidate", "1")._replace(scores=list(scores)) for scores in given]
    late = compare_late(sample_set(waiting), {"candidate": Comparison(DATASET, known)}).table
    assert late["matches"].to_pylist() == [True, False]
    assert late["baseline"].to_pylist() == [None, "1 (0.25, 0.75)"]


def test_nothing_was_asked():
    samples = compare_late(sample_set([sample(0, "stable", "1")]), {})
    assert samples.table["request_id"].to_pylist() == [None]
    assert len(compare_late(sample_set([]), {"stable": Comparison(DATASET, {0: "1"})})) == 0
