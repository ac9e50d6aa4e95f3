"""The outcome of a load: the content of ``load.json``, and whether the measurement is any good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from loadtest.data.samples import SampleSet
from loadtest.errors import ExitCode
from loadtest.experiment.experiment import Load
from loadtest.experiment.role import ROLES, Role
from loadtest.load.baseline.asking import BaselineReach
from loadtest.load.cluster.worker_reports import Gathering

ENOUGH = 0.95
"""The share of the offered rate below which a run is INVALID."""

Ended = Literal["completed", "stopped", "broken"]


@dataclass(frozen=True)
class Outcome:
    """What the generator did; rates in arrivals a second.

    Args:
        offered_rps: arrivals whose time came, by the duration.
        achieved_rps: arrivals sent, by the time that it took to send them.
        schedule_lag_ms_p99: how late requests were sent, 99th percentile; None: none was sent.
        duration_s: the measured time.
        began_at: time zero, seconds since 1970.
        ended: after its whole duration, stopped by a person, or broken off.
        requests: samples per version.
        warmup_requests: unrecorded requests before time zero, per version.
        baseline: per version how far its baseline answers reach; see ``BaselineReach``.
        workers: number of workers that the run began with.
        missing_workers: workers that were given up: index, Locust's id (the machine first), why,
            when they last reported (seconds since time zero; None: never), the arrivals that were due from
            them in all, and how many of those have no sample.
        missing_samples: samples known to have been recorded that did not arrive.
        valid: whether the measurement can be judged.
        reason: why it is not valid; None where it is.
        exit_code: of the load generator; not part of the file.
    """

    offered_rps: float
    achieved_rps: float
    schedule_lag_ms_p99: float | None
    duration_s: float
    began_at: float
    ended: Ended
    requests: dict[str, int]
    warmup_requests: dict[str, int]
    baseline: dict[str, dict[str, Any]]
    workers: int
    missing_workers: list[dict[str, Any]]
    missing_samples: int
    valid: bool
    reason: str | None
    exit_code: ExitCode = field(default=ExitCode.PASS)

    def to_json(self) -> dict[str, Any]:
        """The content of ``load.json``."""
        return {key: value for key, value in asdict(self).items() if key != "exit_code"}


def conclude(
    load: Load,
    gathering: Gathering,
    samples: SampleSet,
    began_at: float,
    stopped_after: float | None,
    baseline: Mapping[Role, BaselineReach] | None = None,
) -> Outcome:
    """Say what became of a run.

    Args:
        load: what was asked for.
        gathering: what the workers reported.
        samples: all that arrived.
        began_at: time zero, seconds since 1970.
        stopped_after: seconds since the run began at which it was ended early; None: it was not.
        baseline: per version how far its baseline answers reach.
    """
    if stopped_after is None:
        _note_deserters(gathering)
    duration = load.duration if stopped_after is None else min(max(stopped_after, 0.0), load.duration)
    lag = samples.sent_at - samples.scheduled_at
    lag_p99 = float(np.quantile(lag, 0.99)) if len(samples) else None
    scheduled = sum(
        _scheduled(gathering, index, duration / load.duration) for index in range(len(gathering.shares))
    )
    sent = sum(share.last.sent for share in gathering.shares if share.last)
    last = float(samples.sent_at.max()) if len(samples) else 0.0
    # the last arrivals may be as late as any other
    sending = last if last > duration + load.max_lag else duration
    offered, achieved = (scheduled / duration, sent / sending) if duration else (0.0, 0.0)
    missing = _missing(gathering, duration / load.duration)
    reason, code = _problem(load, gathering, missing, offered, achieved, lag_p99, len(samples))
    broken = gathering.problem is not None or bool(missing)
    return Outcome(
        offered_rps=offered,
        achieved_rps=achieved,
        schedule_lag_ms_p99=None if lag_p99 is None else lag_p99 * 1000,
        duration_s=duration,
        began_at=began_at,
        ended="broken" if broken else "completed" if stopped_after is None else "stopped",
        requests={role: len(samples.of(role)) for role in ROLES},
        warmup_requests={
            role: sum(share.last.warmup[index] for share in gathering.shares if share.last)
            for index, role in enumerate(ROLES)
        },
        baseline={role: reach._asdict() for role, reach in (baseline or {}).items()},
        workers=len(gathering.shares),
        missing_workers=missing,
        missing_samples=sum(share.lost for share in gathering.shares),
        valid=reason is None,
        reason=reason,
        exit_code=code,
    )


def _note_deserters(gathering: Gathering) -> None:
    """Workers that were stopped one by one, while the run went on."""
    for share in gathering.shares:
        last = share.last
        if (
            last is not None
            and last.problem is None
            and share.state == "finished"
            and last.scheduled < last.planned
        ):
            share.missing = f"ended after {last.scheduled:,} of {last.planned:,} arrivals"


def _scheduled(gathering: Gathering, index: int, part: float) -> float:
    """Arrivals of one worker whose time came; estimated from its whole share where it went missing."""
    share = gathering.shares[index]
    if share.last is None:
        return 0.0
    return share.last.planned * part if share.missing else share.last.scheduled


def _missing(gathering: Gathering, part: float) -> list[dict[str, Any]]:
    """``Outcome.missing_workers`` of a run that lasted this part of its duration."""
    missing = []
    for share in gathering.shares:
        if share.missing:
            arrivals = round(_scheduled(gathering, share.worker, part))
            missing.append(
                {
                    "worker": share.worker,
                    "client": share.client,
                    "reason": share.missing,
                    "last_report_s": share.last.elapsed if share.last else None,
                    "arrivals": arrivals,
                    "missing_arrivals": max(arrivals - share.arrivals, 0),
                }
            )
    return missing


def _name(missing: dict[str, Any]) -> str:
    """One missing worker in words: its index, its machine, why, since when and what is lacking."""
    machine = missing["client"].rpartition("_")[0]
    since = (
        ""
        if missing["last_report_s"] is None
        else f", last heard {missing['last_report_s']:.1f} s into the run"
    )
    return (
        f"worker {missing['worker']}{f' on {machine}' if machine else ''} ({missing['reason']}{since}; "
        f"{missing['missing_arrivals']:,} of its {missing['arrivals']:,} arrivals have no sample)"
    )


def _problem(
    load: Load,
    gathering: Gathering,
    missing: list[dict[str, Any]],
    offered: float,
    achieved: float,
    lag_p99: float | None,
    samples: int,
) -> tuple[str | None, ExitCode]:
    if gathering.problem is not None:
        return gathering.problem
    lost = sum(share.lost for share in gathering.shares)
    if missing:
        names = ", ".join(_name(worker) for worker in missing)
        known = f", with at least {lost:,} of its samples" if lost else ""
        return f"{names} went missing{known}; what the others and it reported is kept", ExitCode.INVALID
    if lost or any(share.gap for share in gathering.shares):
        return f"{lost:,} samples were lost between the workers and the master", ExitCode.INVALID
    if lag_p99 is None or not samples:
        return "the run ended before anything was measured", ExitCode.INVALID
    if lag_p99 > load.max_lag:
        return (
            (
                f"the load generator was {lag_p99 * 1000:.0f} ms late at the 99th percentile, more than "
                f"{load.max_lag * 1000:.0f} ms: lower the rate, add workers, or give it a quieter machine"
            ),
            ExitCode.INVALID,
        )
    if achieved < ENOUGH * offered:
        return (
            (
                f"the load generator sent {achieved:.1f} arrivals per second of {offered:.1f} offered: "
                "lower the rate or add workers"
            ),
            ExitCode.INVALID,
        )
    return None, ExitCode.PASS
