"""A log becomes a load: its requests are cut, sped up and laid beside the rows that they send.

::

    experiment, notes = resolve_replay(experiment, results)    # of [load] replay = "access.jsonl"

The result is written as an evaluation set that knows its arrivals (``data.recorded``) into
``results/.replay``, named by its content, so that a stored run can be judged again. The phases of the
resolved experiment are the regimes that the log shows: the judge takes them as it takes planned phases.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loadtest.data.dataset import Dataset
from loadtest.data.logged_labels import with_labels
from loadtest.data.logged_table import LoggedRows, logged_rows
from loadtest.data.recorded import Recorded, with_arrivals
from loadtest.data.request_log import RequestLog, read_log
from loadtest.errors import DatasetError, ExperimentError, UsageError
from loadtest.experiment.experiment import Data, Experiment, Load, Phase
from loadtest.experiment.load import SHORTEST_PHASE
from loadtest.experiment.units import MOST_ROWS_OF_A_REQUEST
from loadtest.stats.regimes import regimes

FOLDER = ".replay"
MOST_PHASES = 12

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


def resolve_replay(experiment: Experiment, results: Path) -> tuple[Experiment, tuple[str, ...]]:
    """The experiment with the arrivals of its log, and what a person should know of these.

    Raises:
        ExperimentError: the log and the rest of the experiment do not go together.
        DatasetError: the log, or the evaluation set that it needs, cannot be used.
        UsageError: nothing can be written to ``results``.
    """
    load, data = experiment.load, experiment.data
    if load.replay is None:
        return experiment, ()
    if data.repeats == "forbid":
        raise ExperimentError(
            "a log sends what its callers sent, and [data] repeats forbids to send a row twice; "
            'set it to "allow"'
        )
    if load.phases:
        if Dataset.read(data).recorded is not None:
            return experiment, ()  # a stored run's own
        raise ExperimentError("replay and [[load.phases]] do not go together; leave one of them out")
    log = read_log(load.replay)
    if load.replay_labels is not None:
        log = with_labels(log, load.replay_labels)
    own = data.path.exists() and data.path.samefile(load.replay)
    rows, data, notes = _rows_of(log, data, own=own)
    times, chosen, duration, spread = _times(log, rows.entry, load)
    if duration < SHORTEST_PHASE:
        raise DatasetError(
            f"{log.path}: the replay lasts {duration:.1f} s, at least {SHORTEST_PHASE:g} s are needed; "
            "take more of the log, or lower speed_up"
        )
    in_turn = _rows_in_turn(rows, chosen, load.seed)
    recorded, several = _recorded(
        times, in_turn, rows.entry[chosen], None if rows.user is None else rows.user[chosen], load
    )
    if recorded.sizes is not None:
        _require_several(log, experiment, int(recorded.sizes.max()))
    times = recorded.times
    found = regimes(times, duration, SHORTEST_PHASE, MOST_PHASES)
    begins = [0.0, *(regime.end for regime in found)]
    phases = tuple(
        Phase(duration=regime.end - begin, rate=regime.arrivals / (regime.end - begin))
        for begin, regime in zip(begins, found, strict=False)
    )
    path = _write(with_arrivals(rows.table, recorded), results)
    # all keys but those that follow from the phases
    kept = load.model_dump(exclude={"rate", "duration", "phases"})
    of_log: dict[str, Any] = {"phases": phases, "replay": load.replay.absolute()}
    if load.replay_labels is not None:
        of_log["replay_labels"] = load.replay_labels.absolute()
    if recorded.sizes is not None:
        sizes, counts = np.unique(recorded.sizes, return_counts=True)
        of_log["rows_per_request"] = dict(zip(sizes.tolist(), counts.tolist(), strict=True))
    resolved = Load.model_validate(kept | of_log)
    return (
        experiment.model_copy(
            update={"load": resolved, "data": data.model_copy(update={"path": path})},
        ),
        (*log.notes, *notes, *spread, *several, _summary(log, times, duration, len(found))),
    )


def _rows_of(log: RequestLog, data: Data, *, own: bool) -> tuple[LoggedRows, Data, tuple[str, ...]]:
    """The rows of the log, or those of the evaluation set that it needs; ``own``: that is the log itself."""
    bodies = log.entries[0].rows is not None
    if not bodies and own:
        raise DatasetError(
            f"{log.path}: {log.kind} does not say what was sent here; name the evaluation set whose rows "
            "to send under [data] path"
        )
    names: Sequence[str] = data.features
    table: pa.Table | None = None
    if not own:
        dataset = Dataset.read(data, every=True)
        names = names or dataset.names
        table = None if bodies else dataset.columns
    rows, notes = logged_rows(log, names, data, table)
    if bodies and not own:
        notes += (f"the log says what is sent: {data.path.name} names the columns, its rows are not used",)
    if bodies and data.label is not None and not rows.labelled:
        data = data.model_copy(update={"label": None})
    return rows, data, notes


def _times(
    log: RequestLog, entry: NDArray[np.int32], load: Load
) -> tuple[Floats, NDArray[np.intp], float, list[str]]:
    """When the requests come, ascending; which of ``entry``, the places of their entries, they are; how long
    the replay lasts; and what to know of it."""
    logged = np.array([each.time for each in log.entries])
    notes = []
    if len(logged) > 1 and np.all(logged == np.floor(logged)):
        # all of a second at its first instant would be bursts that never were
        logged = logged + np.random.default_rng([load.seed, 2]).random(len(logged))
        notes.append("its times are whole seconds: the requests of each are spread over it at random")
    logged = logged[entry]
    order = np.argsort(logged, kind="stable")
    since = logged[order] - logged[order[0]] - load.replay_from
    upto = np.inf if load.replay_for is None else load.replay_for
    kept = (since >= 0) & (since < upto)
    if not kept.any():
        raise DatasetError(
            f"{log.path}: the log lasts {since[-1] + load.replay_from:.0f} s, and no request is in the part "
            "to replay; change replay_from or replay_for"
        )
    # where the log ends, no pause begins: a request more would have come a mean gap later
    requests = len(logged) if load.split_rows else len(np.unique(entry))
    ends = float(since[-1]) + (float(logged.max() - logged.min()) + 1e-6) / max(requests - 1, 1)
    return since[kept] / load.speed_up, order[kept], min(ends, upto) / load.speed_up, notes


def _recorded(
    times: Floats, rows: Ints, entry: Ints, user: Ints | None, load: Load
) -> tuple[Recorded, tuple[str, ...]]:
    """The arrivals, and what to know of those of several rows.

    Of each row that is sent, shape (sent,): when, ascending; its place; which request of the log has it;
    whose it is.
    """
    begins = np.append(True, np.diff(entry) != 0)
    several = np.count_nonzero(np.bincount(np.cumsum(begins) - 1) > 1)
    if load.split_rows or not several:
        said = f"{several:,} requests of several rows are sent as one request per row, at one instant"
        return Recorded(_told_apart(times, rows), rows, user), (said,) if several else ()
    # a row that a request has twice is one sample: it is sent once
    request = np.cumsum(begins) - 1
    _, once = np.unique(np.column_stack([request, rows]), axis=0, return_index=True)
    once.sort()
    twice = len(rows) - len(once)
    notes = [f"{several:,} requests have several rows, and are sent so"]
    if twice:
        notes.append(f"{twice:,} rows that a request has a second time are left out of it")
    sizes = np.bincount(request[once]).astype(np.int32)
    at = _told_apart(times[begins], np.zeros(len(sizes), dtype=np.int32))
    return Recorded(at, rows[once], None if user is None else user[begins], sizes), tuple(notes)


def _require_several(log: RequestLog, experiment: Experiment, most: int) -> None:
    """Refuse requests of several rows, at ``most`` so many, where only one row fits."""
    load = experiment.load
    for name, given in {
        "[data.outputs]": bool(experiment.data.outputs),
        f"traffic {load.traffic}": load.traffic in ("canary", "shadow"),
        "trace": load.trace,
        f"the limit of {MOST_ROWS_OF_A_REQUEST:,}": most > MOST_ROWS_OF_A_REQUEST,
    }.items():
        if given:
            raise ExperimentError(
                f"{log.path}: has requests of several rows, which do not go with {name}; set [load] "
                "split_rows = true: each row is a request of its own then"
            )


def _rows_in_turn(rows: LoggedRows, chosen: NDArray[np.intp], seed: int) -> NDArray[np.int32]:
    """Which row each request sends: what the log says, else every row before any is sent twice."""
    if rows.row is not None:
        return rows.row[chosen]
    order = np.random.default_rng(seed).permutation(rows.table.num_rows).astype(np.int32)
    return order[np.arange(len(chosen)) % len(order)]


def _told_apart(times: Floats, rows: NDArray[np.int32]) -> Floats:
    """The instants, a nanosecond apart where one row is sent twice at one: that tells their samples apart."""
    order = np.lexsort((times, rows))
    begins = np.ones(len(times), dtype=bool)
    begins[1:] = (np.diff(times[order]) != 0) | (np.diff(rows[order]) != 0)
    places = np.arange(len(times))
    again = np.empty(len(times))
    again[order] = places - np.maximum.accumulate(np.where(begins, places, 0))
    apart: Floats = times + 1e-9 * again
    return apart


def _write(content: bytes, results: Path) -> Path:
    path = results.absolute() / FOLDER / f"{hashlib.sha256(content).hexdigest()[:16]}.parquet"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            partial = path.with_name(f".{path.name}.{os.getpid()}")
            partial.write_bytes(content)
            # containers read it as a user of their own
            partial.chmod(0o644)
            partial.replace(path)
    except OSError as error:
        raise UsageError(
            f"{results}: cannot write the run there ({error.strerror}); choose another --results"
        ) from None
    return path


def _summary(log: RequestLog, times: Floats, duration: float, phases: int) -> str:
    busiest = np.bincount(times.astype(np.intp)).max()
    word = "one regime" if phases == 1 else f"{phases} regimes"
    return (
        f"replays {len(times):,} requests ({log.kind}) in {duration:.0f} s, {len(times) / duration:.3g} a "
        f"second and {busiest:,} in the busiest one; {word}"
    )
