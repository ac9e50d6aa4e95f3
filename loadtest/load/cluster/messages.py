"""What master and workers tell each other, through Locust's own channel.

::

    master                          worker
      ── Job ─────────────────────────▶   prepares: draws its arrivals, encodes its rows
      ◀────────────────────────── Want ──  (only where the evaluation set here is not the master's)
      ── Rows ────────────────────────▶
      ◀──────────────── Report(ready) ──
      ── Go ──────────────────────────▶   sends, from the instant on that all workers share
      ◀────────────── Report(running) ──  every second, with the samples recorded since
      ── Stop ────────────────────────▶   (only to end early) no more arrivals
      ◀───────────── Report(finished) ──  when every request is answered or timed out

Reports are numbered, and say how many samples the worker recorded in all: the master knows what is missing.
Nothing of this is secret or signed: see docs/workers.md for the boundary that it needs.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from loadtest.errors import ExitCode

JOB = "loadproof:job"
WANT = "loadproof:want"
ROWS = "loadproof:rows"
GO = "loadproof:go"
STOP = "loadproof:stop"
REPORT = "loadproof:report"

State = Literal["preparing", "ready", "running", "finished"]


class Job(NamedTuple):
    """One worker's share of a run.

    Args:
        run: names the run; messages of other runs are ignored.
        worker: index of the worker.
        workers: how many share the rate.
        host: base URL of the target.
        experiment: the resolved experiment, as TOML.
        codecs: per version the arguments of its codec.
        baseline: what each version answered without load; see ``row_choice.to_bytes``.
        digest: of the master's evaluation set; see ``evaluation_set.digest``.
    """

    run: str
    worker: int
    workers: int
    host: str
    experiment: str
    codecs: dict[str, list[str]]
    baseline: bytes
    digest: str


class Want(NamedTuple):
    """A worker has not got the evaluation set of the run."""

    run: str
    worker: int


class Rows(NamedTuple):
    """The content of the master's evaluation set, as it lies in its file."""

    run: str
    content: bytes


class Go(NamedTuple):
    """The start.

    Args:
        run: the run's name.
        began_at: the run's time zero in seconds since 1970, by the master's clock.
        ahead: how far time zero lay ahead when this was sent, in seconds.
    """

    run: str
    began_at: float
    ahead: float


class Report(NamedTuple):
    """How far a worker is.

    Args:
        run: the run's name.
        worker: index of the worker.
        number: counts the worker's reports of this run from 0.
        state: where it stands.
        samples: those recorded since the last report, as an Arrow IPC stream; empty: none.
        recorded: samples recorded in all.
        planned: measured arrivals of its whole share.
        scheduled: measured arrivals whose time has come.
        sent: measured arrivals sent.
        elapsed: seconds since time zero; negative during the warm-up; None: it does not send yet.
        warmup: warm-up requests sent to stable and to the candidate.
        problem: why it ended early; None: it did not.
        code: exit code of that problem.
    """

    run: str
    worker: int
    number: int
    state: State
    samples: bytes = b""
    recorded: int = 0
    planned: int = 0
    scheduled: int = 0
    sent: int = 0
    elapsed: float | None = None
    warmup: tuple[int, int] = (0, 0)
    problem: str | None = None
    code: int = ExitCode.PASS
