"""The samples of a run as spans of OpenTelemetry, in OTLP's JSON: figures, no row's content and no answer.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: ids are hexadecimal, 64-bit integers text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from loadtest import __version__
from loadtest.data.cut_off_run import is_cut_off, read_cut_off_run
from loadtest.data.run_folder import LOAD, SAMPLES
from loadtest.data.samples import SampleSet
from loadtest.errors import UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES_WITH_CONTROL
from loadtest.judge.run import LoadFacts
from loadtest.judge.slow_requests import in_milliseconds
from loadtest.judge.traces import Traces

BATCH = 1000
"""Spans of one request: about 400 kB, of the 20 MiB that a collector takes."""
_MOST_SLOW = 100
_CLIENT, _ERROR, _SAMPLED = 3, 2, 1
_NANOSECONDS = 1e9

Span = dict[str, Any]


class RunSpans:
    """The spans of one run folder: ``RunSpans.read(folder, experiment)``; ``len`` is how many.

    Those of requests that failed, did not match or were slowest come first, with the other requests of their
    arrivals, so that they are there if time is too short for all.
    """

    def __init__(self, samples: SampleSet, traces: Traces) -> None:
        self._samples, self._traces = samples, traces

    @classmethod
    def read(cls, folder: Path, experiment: Experiment) -> RunSpans:
        """Read the samples of a run.

        Raises:
            UsageError: they cannot be read, or the run's requests carried no trace context.
        """
        if is_cut_off(folder):
            samples, load = read_cut_off_run(folder, experiment.load.duration)
        else:
            samples, load = SampleSet.read(folder / SAMPLES), _facts(folder / LOAD)
        traces = Traces.of(experiment.load, LoadFacts.model_validate(load), samples)
        if traces is None or traces.zero(0) is None:
            raise UsageError(f"{folder}: its requests carried no trace context; measure with --trace")
        return cls(samples, traces)

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[Span]:
        places = self._places()
        for begin in range(0, len(places), BATCH):
            yield from self._spans(places[begin : begin + BATCH].tolist())

    def _places(self) -> NDArray[np.intp]:
        samples = self._samples
        first = samples.failed | samples.mismatch
        for role in ROLES_WITH_CONTROL:
            of_role = np.flatnonzero(samples.is_role(role))
            first[of_role[np.argsort(-samples.latency[of_role])[:_MOST_SLOW]]] = True
        first = np.isin(samples.scheduled_at, samples.scheduled_at[first])
        return np.concatenate([np.flatnonzero(first), np.flatnonzero(~first)])

    def _spans(self, places: Sequence[int]) -> Iterator[Span]:
        columns = [
            *("row", "role", "scheduled_at", "sent_at", "done_at", "status", "error", "matches", "timings")
        ]
        table = self._samples.table.select(columns).take(list(places))
        for place, sample in zip(places, table.to_pylist(), strict=True):
            ids, zero = self._traces.ids(place), self._traces.zero(place)
            yield {
                "traceId": ids.trace_id,
                "spanId": ids.span_id,
                "flags": _SAMPLED,
                "name": f"request to {sample['role']}",
                "kind": _CLIENT,
                "startTimeUnixNano": _moment(zero or 0.0, sample["sent_at"]),
                "endTimeUnixNano": _moment(zero or 0.0, sample["done_at"]),
                "attributes": attributes(_said_of(sample)),
                "status": {"code": _ERROR, "message": sample["error"]} if sample["error"] else {},
            }


def _said_of(sample: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a request: those of HTTP as OpenTelemetry calls them, the others by our own names."""
    return {
        "loadproof.role": sample["role"],
        "loadproof.row": sample["row"],
        "loadproof.latency_ms": 1000 * (sample["done_at"] - sample["scheduled_at"]),
        "http.response.status_code": sample["status"] or None,
        "error.type": sample["error"],
        "loadproof.mismatch": True if sample["matches"] is False else None,
        **{f"loadproof.{part}_ms": ms for part, ms in in_milliseconds(sample["timings"]).items()},
    }


def trace_request(spans: Sequence[Span], service: str, run: str, experiment: str) -> dict[str, Any]:
    """What one request to ``/v1/traces`` holds: an ``ExportTraceServiceRequest``, as it stands in JSON."""
    resource = {"service.name": service, "loadproof.run": run, "loadproof.experiment": experiment}
    scope = {"name": "loadproof", "version": __version__}
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": attributes(resource)},
                "scopeSpans": [{"scope": scope, "spans": spans}],
            }
        ]
    }


def attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Attributes in OTLP's JSON; those that are None are left out."""
    return [{"key": key, "value": _value(value)} for key, value in values.items() if value is not None]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": str(value)}


def _moment(zero: float, seconds: float) -> str:
    # apart, as a sum in float64 would be off by half a microsecond
    return str(round(zero * _NANOSECONDS) + round(seconds * _NANOSECONDS))


def _facts(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = LoadFacts.model_validate_json(path.read_bytes()).model_dump()
    except (OSError, ValidationError, json.JSONDecodeError) as error:
        raise UsageError(
            f"{path}: not readable ({type(error).__name__}); the run folder is damaged"
        ) from None
    return content
