"""Quantiles beside quantiles: what is paired with what, and never an interval."""

import pytest

from loadtest.data.tool_results import Series, ToolResults
from loadtest.judge.diff_quantiles import diff_quantiles


def results(tool, *names, **quantiles):
    return ToolResults(tool, "something", tuple(Series(name, quantiles, 10, 1) for name in names))


@pytest.mark.parametrize(
    ("before", "after", "pairs"),
    [
        # each with itself, where both have it
        (("Locust", "all", "a", "b"), ("Locust", "all", "b", "c"), [("all", "all"), ("b", "b")]),
        # each version with the whole of the other tool
        (("Loadproof", "stable", "candidate"), ("k6", "all", "a"), [("stable", "all"), ("candidate", "all")]),
        (("k6", "all", "a"), ("Loadproof", "stable", "candidate"), [("all", "stable"), ("all", "candidate")]),
        (("k6", "all", "a"), ("AIPerf", "every", "b"), [("all", "every")]),
    ],
)
def test_pairs(before, after, pairs):
    changes = diff_quantiles(results(*before, p50=0.1), results(*after, p50=0.1)).changes
    assert [(change.before, change.after) for change in changes] == pairs


def test_changes():
    changes = diff_quantiles(
        results("k6", "all", p50=0.1, p95=0.2, p99=0.0), results("k6", "all", p50=0.11, p99=0.3, p999=1.0)
    )
    assert [(one.quantile, one.before_ms, one.after_ms) for one in changes.changes] == [
        ("p50", 100.0, pytest.approx(110.0)),
        ("p95", 200.0, None),
        ("p99", 0.0, 300.0),
        ("p999", None, 1000.0),
    ]
    # none where one side is missing, or was 0
    assert [one.change for one in changes.changes] == [pytest.approx(10.0), None, None, None]
    assert "before: all: 10 requests, 1 error" in changes.conditions
    assert changes.conditions[-1].endswith("no verdict is given")
