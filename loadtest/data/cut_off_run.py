"""Runs that were cut off: what their ``samples.stream`` holds, as far as it can be judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from loadtest.data.run_folder import LOAD, SAMPLES, STREAM
from loadtest.data.sample_checks import problem
from loadtest.data.sample_stream import StoredStream
from loadtest.data.samples import SampleSet
from loadtest.errors import UsageError


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


def read_cut_off_run(folder: Path, duration: float) -> CutOffRun:
    """Read what is there; arrivals that still waited for an answer are left out with all that came later.

    What answers slowest is what is still in flight when a run is cut off: without them, and with those that
    were sent beside them, either version would look faster than it is.

    Args:
        folder: of the run.
        duration: seconds that the load was to last.

    Raises:
        UsageError: the stream cannot be read, or holds what cannot be.
    """
    path = folder / STREAM
    try:
        stored = StoredStream.read(path)
        everything = SampleSet.concat(stored.samples())
    except (OSError, ValueError) as error:  # what Arrow raises is a ValueError, too
        raise UsageError(f"{path}: not readable ({' '.join(str(error).split())})") from error
    if wrong := problem(everything.table):
        raise UsageError(f"{path}: no samples of a run: {wrong}")
    load, settled = stored.facts.get("load"), stored.facts.get("settled")
    if load is None:
        load, settled = _nothing_known(), 0.0
    if settled is None:
        return CutOffRun(SampleSet(everything.table, stored.digest), load | {"cut_off": None})
    samples = SampleSet(everything.where(everything.scheduled_at < settled).table, stored.digest)
    until = min(max(settled, 0.0), load["duration_s"])
    lag = samples.sent_at - samples.scheduled_at
    cut_off = stored.facts.get("trouble") or "the load generator or its command was killed"
    left_out = len(everything) - len(samples)
    text = f"{until:.1f} of {duration:g} s can be judged, as {cut_off}" + (
        f"; later samples are left out ({left_out:,}), as requests before them had no answer yet"
        if left_out
        else ""
    )
    measured = {
        "duration_s": until,
        "schedule_lag_ms_p99": float(np.quantile(lag, 0.99)) * 1000 if len(samples) else None,
        "cut_off": text,
    }
    return CutOffRun(samples, load | measured)


def _nothing_known() -> dict[str, Any]:
    return {
        "offered_rps": 0.0,
        "achieved_rps": 0.0,
        "duration_s": 0.0,
        "valid": False,
        "reason": "the run was cut off before anything was measured",
    }
