import json
import re

import numpy as np
import pytest

from loadtest.errors import ExitCode
from loadtest.experiment.experiment import Load
from loadtest.load.cluster.load_summary import summarise
from loadtest.load.cluster.messages import Report
from loadtest.load.cluster.sample_totals import SampleTotals
from loadtest.load.cluster.worker_reports import WorkerReports
from loadtest.load.live.counts import LiveCounts
from tests.loadtest.made_samples import Sample, sample_set

LOAD = Load(rate=10, duration=10, max_lag=0.05)


def samples(arrivals, lag=0.001, last=10.0):
    return [
        Sample(0, role, at, at + lag, at + 0.1, 200, None, "1", True, None, 0)
        for at in np.linspace(0.0, last, arrivals, endpoint=False)
        for role in ("stable", "candidate")
    ]


def totals(*pieces):
    counts = LiveCounts(0.25)
    for piece in pieces:
        counts.add(piece)
    known = SampleTotals(counts, (0, 1))
    assert list(known.read(pieces)) == list(pieces)
    return known


def summarised(recorded, *, stopped_after=None, missing=None, **more):
    reports = WorkerReports("run", ["a", "there_1"])
    pieces = [sample_set(recorded)]
    content = pieces[0].to_bytes()
    ends = {
        "recorded": len(recorded),
        "planned": 100,
        "scheduled": 100,
        "sent": len(recorded) // 2,
        "warmup": (5, 6),
        "warmup_errors": (0, 2),
        "resent": (3, 4),
        "not_answers": ({}, {"nan": 2, "": 3}),
    }
    reports.accept(Report("run", 0, 0, "finished", content, **(ends | more)))
    if missing:
        half = sample_set([each._replace(worker=1) for each in samples(45)])
        pieces.append(half)
        reports.accept(
            Report("run", 1, 0, "running", half.to_bytes(), 90, 90, scheduled=45, sent=45, elapsed=4.2)
        )
    else:
        reports.accept(Report("run", 1, 0, "finished"))
    reports.shares[1].missing = missing
    return summarise(LOAD, reports, totals(*pieces), 1e9, stopped_after, evaluation_sha256="ab12")


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (
            "no port free",
            "the load generator itself .no port free, 1 times.: .*ip_local_port",
        ),
        ("too many open files", "ulimit -n"),
        ("name not resolved", "resolver"),
        # a version's own
        ("connection refused", None),
        ("timeout", None),
    ],
)
def test_the_generators_own_trouble_is_no_versions_error(error, why):
    recorded = samples(100)
    recorded[7] = recorded[7]._replace(status=0, error=error, prediction=None, correct=False)
    summary = summarised(recorded)
    assert summary.valid == (why is None)
    assert summary.exit_code == (ExitCode.PASS if why is None else ExitCode.INVALID)
    assert why is None or re.search(why, summary.reason)


def test_a_good_run():
    summary = summarised(samples(100))
    assert json.loads(json.dumps(summary.to_json())) == {
        "run": "run",
        "offered_rps": 10.0,
        "achieved_rps": 10.0,
        "schedule_lag_ms_p99": pytest.approx(1.0),
        "duration_s": 10.0,
        "began_at": 1e9,
        "ended": "completed",
        "requests": {"stable": 100, "candidate": 100},
        "warmup_requests": {"stable": 5, "candidate": 6},
        "warmup_errors": {"stable": 0, "candidate": 2},
        "baseline": {},
        "first_rows": {},
        "resent": {"stable": 3, "candidate": 4},
        "not_answers": {"stable": {}, "candidate": {"": 3, "nan": 2}},
        "workers": 2,
        "clock_skew_s": [None, None],
        "missing_workers": [],
        "missing_samples": 0,
        "valid": True,
        "reason": None,
        "evaluation_sha256": "ab12",
    }
    assert summary.exit_code is ExitCode.PASS


def test_a_stopped_run_is_good_for_the_time_it_lasted():
    summary = summarised(samples(40, last=4.0), stopped_after=4.0, scheduled=40)
    assert (summary.valid, summary.ended, summary.duration_s) == (True, "stopped", 4.0)
    assert (summary.offered_rps, summary.achieved_rps) == (10.0, 10.0)


@pytest.mark.parametrize(
    ("case", "ended", "reason"),
    [
        # late, but everything was sent
        ({"recorded": samples(100, lag=0.06)}, "completed", "60 ms late at the 99th percentile"),
        # in time, but not everything was sent
        ({"recorded": samples(90)}, "completed", "sent 9.0 arrivals per second of 10.0"),
        # all were sent, but it took longer
        ({"recorded": samples(100, lag=0.04, last=11.0)}, "completed", "sent 9.1 arrivals"),
        (
            {"recorded": [], "scheduled": 0, "sent": 0},
            "broken",
            "worker 0 (ended after 0 of 100 arrivals; 100 of its 100",
        ),
        ({"recorded": [], "stopped_after": -1.0}, "stopped", "before anything was measured"),
        (
            {"recorded": samples(100), "missing": "no report for 5 s"},
            "broken",
            "worker 1 on there (no report for 5 s, last heard 4.2 s into the run; 45 of its 90",
        ),
        (
            {"recorded": samples(100), "scheduled": 60},
            "broken",
            "worker 0 (ended after 60 of 100 arrivals; 0 of its 100",
        ),
        (
            {"recorded": samples(100), "problem": "the rate is beyond it", "code": ExitCode.INVALID},
            "broken",
            "worker 0: the rate is beyond it",
        ),
    ],
)
def test_a_bad_measurement_is_invalid_and_says_why(case, ended, reason):
    summary = summarised(**case)
    assert (summary.valid, summary.ended, summary.exit_code) == (False, ended, ExitCode.INVALID)
    assert reason in summary.reason


def test_what_a_missing_worker_owes_ends_with_the_run():
    # half of its 90 arrivals were due, and all of those it had reported
    summary = summarised(samples(50, last=5.0), stopped_after=5.0, scheduled=50, missing="no report for 5 s")
    assert summary.missing_workers == [
        {
            "worker": 1,
            "client": "there_1",
            "reason": "no report for 5 s",
            "last_report_s": 4.2,
            "arrivals": 45,
            "missing_arrivals": 0,
        }
    ]


def test_lost_samples_are_counted():
    reports = WorkerReports("run", ["a"])
    content = sample_set(samples(100))
    reports.accept(Report("run", 0, 0, "finished", content.to_bytes(), 203, 100, 100, 100))
    summary = summarise(LOAD, reports, totals(content), 1e9, None)
    assert (summary.valid, summary.missing_samples) == (False, 3)
    assert "3 samples were lost" in summary.reason


def test_a_recorder_that_failed_is_no_verdict_but_an_error():
    summary = summarised(samples(10), problem="recording failed", code=ExitCode.LAB)
    assert (summary.valid, summary.exit_code) == (False, ExitCode.LAB)
