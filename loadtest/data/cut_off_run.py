"""Runs that were cut off: what their ``samples.stream`` holds, as far as it can be judged.

Few samples are kept in memory; more go through a sample file of their own, a row group at a time, so that a
run that was killed after hours costs no more than one that ended as it should.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from loadtest.data.run_folder import LOAD, SAMPLES, STREAM
from loadtest.data.sample_checks import problem_of
from loadtest.data.sample_file import SampleFile
from loadtest.data.sample_stream import StoredStream, write_parquet
from loadtest.data.samples import SCHEMA, SampleSet
from loadtest.errors import LoadproofError, UsageError

_IN_MEMORY = 2**20
"""Samples up to which no file is made of them."""


class CutOffRun(NamedTuple):
    """What is there of a run that did not end as it should.

    Args:
        samples: of whole arrivals, whose every answer is known.
        load: what ``load.json`` would say of them.
    """

    samples: SampleSet
    load: dict[str, Any]


def is_cut_off(folder: Path) -> bool:
    """Whether the samples of a run still lie in the stream, as its end was never written."""
    whole = (folder / SAMPLES).is_file() and (folder / LOAD).is_file()
    return not whole and (folder / STREAM).is_file()


def read_cut_off_run(folder: Path, duration: float, in_memory: int = _IN_MEMORY) -> CutOffRun:
    """Read what is there; arrivals that still waited for an answer are left out with all that came later.

    What answers slowest is what is still in flight when a run is cut off: without them, and with those that
    were sent beside them, either version would look faster than it is.

    The load was to last ``duration`` seconds. Of up to ``in_memory`` samples no temporary file is made.

    Raises:
        UsageError: the stream cannot be read, or holds what cannot be.
        LoadproofError: there is no room for the temporary file.
    """
    path = folder / STREAM
    try:
        stored = StoredStream.read(path)
        load, settled = stored.facts.get("load"), stored.facts.get("settled")
        if load is None:
            load, settled = _nothing_known(), 0.0
        kept = _Settled(stored, settled)
        samples = _gathered(kept, stored.digest, in_memory)
        wrong = problem_of(samples.parts, SCHEMA.names)
    except (OSError, ValueError) as error:  # what Arrow raises is a ValueError, too
        raise UsageError(f"{path}: not readable ({' '.join(str(error).split())})") from error
    if wrong:
        raise UsageError(f"{path}: no samples of a run: {wrong}")
    if settled is None:
        return CutOffRun(samples, load | {"cut_off": None})
    until = min(max(settled, 0.0), load["duration_s"])
    cut_off = stored.facts.get("trouble") or "the load generator or its command was killed"
    text = f"{until:.1f} of {duration:g} s can be judged, as {cut_off}" + (
        f"; later samples are left out ({kept.left_out:,}), as requests before them had no answer yet"
        if kept.left_out
        else ""
    )
    lag = samples.sent_at - samples.scheduled_at
    measured = {
        "duration_s": until,
        "schedule_lag_ms_p99": float(np.quantile(lag, 0.99, overwrite_input=True)) * 1000
        if len(samples)
        else None,
        "cut_off": text,
    }
    return CutOffRun(samples, load | measured)


class _Settled:
    """The samples of a stream before which no request still waits, a piece after the other."""

    def __init__(self, stored: StoredStream, settled: float | None) -> None:
        self._stored, self._settled = stored, settled
        self.left_out = 0
        """Samples that came later, of those gone through."""

    def __iter__(self) -> Iterator[SampleSet]:
        for piece in self._stored.samples():
            if self._settled is None:
                yield piece
                continue
            before = piece.scheduled_at < self._settled
            self.left_out += len(piece) - int(before.sum())
            yield piece.where(before)


def _gathered(pieces: Iterable[SampleSet], digest: str, in_memory: int) -> SampleSet:
    """All samples: in memory, or of many in a file that goes when they do."""
    begun, rows = [], 0
    rest = iter(pieces)
    for piece in rest:
        begun.append(piece)
        rows += len(piece)
        if rows > in_memory:
            break
    else:
        return SampleSet(SampleSet.concat(begun).table, digest)
    place = tempfile.TemporaryDirectory(prefix="loadproof-")
    path = Path(place.name, SAMPLES)
    try:
        write_parquet(chain(begun, rest), path)
    except OSError as error:
        raise LoadproofError(
            f"{place.name}: {error.strerror or error}; a run of so many samples is judged from there: "
            "make room, or let TMPDIR name another folder"
        ) from error
    return SampleSet(SampleFile(path, SCHEMA, kept=place), digest)


def _nothing_known() -> dict[str, Any]:
    return {
        "offered_rps": 0.0,
        "achieved_rps": 0.0,
        "duration_s": 0.0,
        "valid": False,
        "reason": "the run was cut off before anything was measured",
    }
