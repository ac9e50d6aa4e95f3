"""What a rollback took, from the records of its requests; and the docs hold what was measured."""

import numpy as np
import pytest

from benchmarks.canary import report
from benchmarks.canary.rollbacks import rows
from benchmarks.canary.shadowed import _compare
from benchmarks.canary.steady import Record

COMMANDED = 10.0


def record(sent, done, version="candidate"):
    return Record(sent, sent, done, 200, version)


@pytest.mark.parametrize(
    ("records", "took"),
    [
        ([], (0, 0, 0)),
        # had it before the command and answered before it, or after
        ([record(9.0, 9.9)], (0, 0, 0)),
        ([record(9.9, 10.2)], (0, 0, 0.2)),
        # sent after it, and answered by the candidate all the same
        ([record(10.01, 10.05), record(10.02, 10.03)], (0.02, 0.05, 0)),
        # stable's do not count, nor those of the next rollback
        ([record(10.01, 10.05, "stable"), record(10.6, 10.7)], (0, 0, 0)),
    ],
)
def test_what_one_rollback_took(records, took):
    assert rows(records, COMMANDED, COMMANDED + 0.5) == pytest.approx(took)


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_the_ratio_of_blocks_with_and_without_a_shadow(factor):
    rng = np.random.default_rng(2)
    blocks = {shadow: [rng.gamma(2.0, 0.01, 800) for _ in range(10)] for shadow in (True, False)}
    blocks[True] = [block * factor for block in blocks[True]]
    found = _compare(blocks, 0.5)
    low, high = found["interval"]
    assert low < factor < high
    assert high / low < 1.2
    assert found["ratio"] == pytest.approx(found["with_ms"] / found["without_ms"], rel=0.01)


def test_the_tables_in_the_docs_are_those_of_the_results():
    page = report.PAGE.read_text()
    for name, table in report.tables(report.read()).items():
        assert report.filled(page, name, table) == page
        assert table in page
