"""The summary of a load: the content of ``load.json``, and whether the measurement is any good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from loadtest.data.local_errors import local_trouble
from loadtest.errors import ExitCode
from loadtest.experiment.experiment import Load
from loadtest.experiment.role import Role
from loadtest.load.baseline.asking import BaselineReach
from loadtest.load.cluster.sample_totals import SampleTotals
from loadtest.load.cluster.worker_reports import WorkerReports
from loadtest.load.sending.task_answers import MOST_KEPT

ENOUGH = 0.95
"""The share of the offered rate below which a run is INVALID."""

Ended = Literal["completed", "stopped", "broken"]


@dataclass(frozen=True)
class LoadSummary:
    """What the generator did; rates in arrivals per second.

    Args:
        run: names the load, in request ids and for trace ids.
        offered_rps: arrivals whose time came, by the duration.
        achieved_rps: arrivals sent, by the time that it took to send them.
        schedule_lag_ms_p99: how late requests were sent, 99th percentile; None: none was sent.
        duration_s: the measured time.
        began_at: time zero, seconds since 1970.
        ended: after its whole duration, stopped by a person, or broken off.
        requests: samples per version.
        warmup_requests: unrecorded requests before time zero, per version.
        warmup_errors: how many of those got no answer, per version.
        baseline: per version how far its baseline answers reach; see ``BaselineReach``.
        first_rows: requests per version before the load, to see that it answers, without baseline answers.
        resent: per version, requests that were sent once more, because the server closed the kept-alive
            connection before it answered.
        not_answers: per version what came with status 200 and is no answer, and how often each text came.
        workers: number of workers that the run began with.
        clock_skew_s: how far the wall clock of each worker is ahead of the master's (None: not known); shown,
            and nothing follows from it.
        missing_workers: workers that were given up: index, Locust's id (the machine first), why,
            when they last reported (seconds since time zero; None: never), their arrivals whose time came,
            and how many of those have no sample.
        missing_samples: samples known to have been recorded that did not arrive.
        valid: whether the measurement can be judged.
        reason: why it is not valid; None where it is.
        evaluation_sha256: of the file of the evaluation set.
        exit_code: of the load generator; not part of the file.
    """

    run: str
    offered_rps: float
    achieved_rps: float
    schedule_lag_ms_p99: float | None
    duration_s: float
    began_at: float
    ended: Ended
    requests: dict[str, int]
    warmup_requests: dict[str, int]
    warmup_errors: dict[str, int]
    baseline: dict[str, dict[str, Any]]
    first_rows: dict[str, int]
    resent: dict[str, int]
    not_answers: dict[str, dict[str, int]]
    workers: int
    clock_skew_s: list[float | None]
    missing_workers: list[dict[str, Any]]
    missing_samples: int
    valid: bool
    reason: str | None
    evaluation_sha256: str | None
    exit_code: ExitCode = field(default=ExitCode.PASS)

    def to_json(self) -> dict[str, Any]:
        """The content of ``load.json``."""
        return {key: value for key, value in asdict(self).items() if key != "exit_code"}


def summarise(
    load: Load,
    reports: WorkerReports,
    totals: SampleTotals,
    began_at: float,
    stopped_after: float | None,
    baseline: Mapping[Role, BaselineReach] | None = None,
    first_rows: Mapping[Role, int] | None = None,
    evaluation_sha256: str | None = None,
) -> LoadSummary:
    """Say what became of a run.

    ``began_at`` is in seconds since 1970; ``stopped_after`` from there, None: it was not ended early.
    ``first_rows`` are requests before the load where there were no baseline answers.
    """
    if stopped_after is None:
        for share in reports.shares:
            if share.deserted:
                share.missing = f"ended after {share.last.scheduled:,} of {share.last.planned:,} arrivals"
    duration = load.duration if stopped_after is None else min(max(stopped_after, 0.0), load.duration)
    part = load.expected(duration) / load.expected(load.duration)
    lag_p99 = totals.lag_p99
    scheduled = sum(share.scheduled(part) for share in reports.shares)
    last = totals.last_sent
    # the last arrivals may be as late as any other
    sending = last if last > duration + load.max_lag else duration
    offered, achieved = (scheduled / duration, reports.sent / sending) if duration else (0.0, 0.0)
    missing = [share.loss(part, totals.arrivals(share.worker)) for share in reports.shares if share.missing]
    lost = sum(share.lost for share in reports.shares)
    gap = any(share.gap for share in reports.shares)
    doubt = local_trouble(totals.errors) or _doubt(load, missing, lost, gap, offered, achieved, lag_p99)
    reason, code = reports.problem or (doubt, ExitCode.INVALID if doubt else ExitCode.PASS)
    broken = reports.problem is not None or bool(missing)
    return LoadSummary(
        run=reports.run,
        offered_rps=offered,
        achieved_rps=achieved,
        schedule_lag_ms_p99=None if lag_p99 is None else lag_p99 * 1000,
        duration_s=duration,
        began_at=began_at,
        ended="broken" if broken else "completed" if stopped_after is None else "stopped",
        requests={role: totals.requests(role) for role in load.roles},
        warmup_requests={
            role: sum(share.last.warmup[index] for share in reports.shares)
            for index, role in enumerate(load.roles)
        },
        warmup_errors={
            role: sum(share.last.warmup_errors[index] for share in reports.shares)
            for index, role in enumerate(load.roles)
        },
        baseline={role: reach._asdict() for role, reach in (baseline or {}).items()},
        first_rows={str(role): count for role, count in (first_rows or {}).items()},
        resent={
            role: sum(share.last.resent[index] for share in reports.shares)
            for index, role in enumerate(load.roles)
        },
        not_answers={role: _joined(reports, index) for index, role in enumerate(load.roles)},
        workers=len(reports.shares),
        clock_skew_s=[share.last.clock_skew for share in reports.shares],
        missing_workers=missing,
        missing_samples=lost,
        valid=reason is None,
        reason=reason,
        evaluation_sha256=evaluation_sha256,
        exit_code=code,
    )


def _joined(reports: WorkerReports, role: int) -> dict[str, int]:
    """What was no answer, over all workers, the most frequent first."""
    texts: Counter[str] = Counter()
    for share in reports.shares:
        if share.last.not_answers:
            texts.update(share.last.not_answers[role])
    return dict(texts.most_common(MOST_KEPT))


def _name(missing: dict[str, Any]) -> str:
    """One missing worker in words: its index, its machine, why, since when and what is lacking."""
    machine = missing["client"].rpartition("_")[0]
    last = missing["last_report_s"]
    since = "" if last is None else f", last heard {last:.1f} s into the run"
    return (
        f"worker {missing['worker']}{f' on {machine}' if machine else ''} ({missing['reason']}{since}; "
        f"{missing['missing_arrivals']:,} of its {missing['arrivals']:,} arrivals have no sample)"
    )


def _doubt(
    load: Load,
    missing: list[dict[str, Any]],
    lost: int,
    gap: bool,
    offered: float,
    achieved: float,
    lag_p99: float | None,
) -> str | None:
    """Why the measurement is INVALID; None where it is not."""
    if missing:
        names = ", ".join(map(_name, missing))
        known = f", with at least {lost:,} of its samples" if lost else ""
        return f"{names} went missing{known}; what the others and it reported is kept"
    if lost or gap:
        return f"{lost:,} samples were lost between the workers and the master"
    if lag_p99 is None:
        return "the run ended before anything was measured"
    if lag_p99 > load.max_lag:
        return (
            f"the load generator was {lag_p99 * 1000:.0f} ms late at the 99th percentile, more than "
            f"{load.max_lag * 1000:.0f} ms: lower the rate, add workers, or give it a quieter machine"
        )
    if achieved < ENOUGH * offered:
        return (
            f"the load generator sent {achieved:.1f} arrivals per second of {offered:.1f} offered: "
            "lower the rate or add workers"
        )
    return None
