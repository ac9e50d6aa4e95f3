"""What master and workers tell each other, through Locust's own channel.

::

    master                          worker
      ── Job ─────────────────────────▶   prepares: draws its arrivals, encodes its rows
      ◀───────────────── DatasetWanted ──  (only where the evaluation set here is not the master's)
      ── DatasetContent ──────────────▶
      ◀──────────────── Report(ready) ──
      ── Go ──────────────────────────▶   sends, from the instant on that all workers share
      ◀────────────── Report(running) ──  every second, with the samples recorded since
      ── Stop ────────────────────────▶   (only to end early) no more arrivals
      ◀───────────── Report(finished) ──  when every request is answered or timed out

Reports are numbered, and say how many samples the worker recorded in all: the master knows what is missing.
A worker says Joined at every heartbeat, and the master Welcome, understood or not. Where there is a token,
all messages are signed with it, but not encrypted (docs/workers.md). Every field is checked and bounded when
it arrives.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import pyarrow as pa
from pydantic import Field, FiniteFloat

from loadtest.data.baseline import BaselineAnswers, ScoredAnswer
from loadtest.errors import ExitCode
from loadtest.experiment.role import Role

Name = Annotated[str, Field(max_length=200)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Samples = Annotated[bytes, Field(max_length=64 * 2**20)]
"""Of one report, which has those of about a second."""
Texts = Annotated[dict[Annotated[str, Field(max_length=1000)], Count], Field(max_length=100)]
"""What came instead of answers, and how often."""
State = Literal["preparing", "ready", "running", "finished"]

_ANSWERS = pa.schema(
    [
        *(("role", pa.string()), ("row", pa.int32()), ("prediction", pa.string())),
        ("scores", pa.list_(pa.float64())),
    ]
)


class Job(NamedTuple):
    """One worker's share of a run.

    Args:
        run: names the run; messages of other runs are ignored.
        workers: how many share the rate.
        host: base URL of the target.
        experiment: the resolved experiment, as TOML.
        codecs: per version the protocol and the arguments of its codec.
        baseline: what each version answered without load; see ``encode_answers``.
        digest: SHA-256 of the master's evaluation set.
    """

    run: Name
    worker: Count
    workers: Count
    host: str
    experiment: str
    codecs: dict[str, dict[str, Any]]
    baseline: bytes
    digest: str


class Joined(NamedTuple):
    """A worker is there, and knows the token where there is one.

    Args:
        worker: Locust's id of it.
        version: ``own_version`` of it; '': an older one, which does not say.
    """

    worker: Name
    version: Name = ""


class Welcome(NamedTuple):
    """The master is Loadproof's; says nothing of whether the worker takes part."""


class DatasetWanted(NamedTuple):
    """A worker has not got the evaluation set of the run."""

    run: Name
    worker: Count


class DatasetContent(NamedTuple):
    """The content of the master's evaluation set, as it lies in its file."""

    run: Name
    content: bytes


class Go(NamedTuple):
    """The start.

    Args:
        began_at: the run's time zero in seconds since 1970, by the master's clock: to compare clocks.
        ahead: how far time zero lay ahead when this was sent, in seconds: what the worker begins by.
    """

    run: Name
    began_at: FiniteFloat
    ahead: FiniteFloat


class Stop(NamedTuple):
    """An early end."""

    run: Name


class Report(NamedTuple):
    """How far a worker is.

    Args:
        number: counts the worker's reports of this run from 0.
        state: where it stands.
        samples: those recorded since the last report, as an Arrow IPC stream; empty: none.
        recorded: samples recorded in all.
        planned: measured arrivals of its whole share.
        scheduled: measured arrivals whose time has come.
        sent: measured arrivals sent.
        elapsed: seconds since time zero; negative during the warm-up; None: it does not send yet.
        settled: when the first arrival is scheduled that was not sent or not answered yet; None: all were.
        warmup: warm-up requests sent to stable, the candidate and the control.
        warmup_errors: how many of those got no answer.
        resent: requests to each of them that were sent once more.
        not_answers: of each of them, texts that are no answer and how often each came.
        clock_skew: how far the worker's wall clock is ahead of the master's, in seconds, plus what the start
            took to come; None: it has not begun.
        problem: why it ended early; None: it did not.
        code: exit code of that problem.
    """

    run: Name
    worker: Count
    number: Count
    state: State
    samples: Samples = b""
    recorded: Count = 0
    planned: Count = 0
    scheduled: Count = 0
    sent: Count = 0
    elapsed: FiniteFloat | None = None
    settled: FiniteFloat | None = None
    warmup: tuple[Count, Count, Count] = (0, 0, 0)
    warmup_errors: tuple[Count, Count, Count] = (0, 0, 0)
    resent: tuple[Count, Count, Count] = (0, 0, 0)
    not_answers: tuple[Texts, ...] = ()
    clock_skew: FiniteFloat | None = None
    problem: Annotated[str, Field(max_length=5000)] | None = None
    code: ExitCode = ExitCode.PASS


Message = Job | Joined | Welcome | DatasetWanted | DatasetContent | Go | Stop | Report


def encode_answers(baseline: BaselineAnswers) -> bytes:
    """The baseline answers as an Arrow IPC stream."""
    records = [
        (v, row, *(answer if isinstance(answer, ScoredAnswer) else (answer, None)))
        for v, answers in baseline.items()
        for row, answer in answers.items()
    ]
    columns: list[tuple[Any, ...]] = list(zip(*records, strict=True)) or [()] * len(_ANSWERS)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _ANSWERS, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(pa.table(dict(zip(_ANSWERS.names, columns, strict=True)), schema=_ANSWERS))
    return bytes(sink.getvalue())


def decode_answers(data: bytes) -> BaselineAnswers:
    """What ``encode_answers`` encoded; nothing gives none."""
    baseline: dict[Role, dict[int, str | ScoredAnswer | None]] = {}
    if data:
        columns = pa.ipc.open_stream(data).read_all().to_pydict()
        for role, row, text, scores in zip(*(columns[name] for name in _ANSWERS.names), strict=True):
            answer = text if scores is None else ScoredAnswer(text, tuple(scores))
            baseline.setdefault(Role(role), {})[row] = answer
    return baseline
