"""Latency as other load generators summarise it: k6, Locust and AIPerf. Quantiles only, no samples.

::

    read_tool_results(Path("summary.json")).series[0].quantiles["p95"]    # seconds
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from loadtest.errors import UsageError

QUANTILES = ("p50", "p90", "p95", "p99", "p999")
LARGEST = 16 * 2**20
"""Bytes of a file; a longer one is no summary."""
_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0}
_K6 = re.compile(r"http_req_duration(?:\{(?P<tags>.*)\})?")
_UNIT = re.compile(r"(?P<name>.*) \((?P<unit>\w+)\)")


class Series(NamedTuple):
    """One kind of request: its latency at quantiles, in seconds; what was not given is missing."""

    name: str
    quantiles: dict[str, float]
    requests: int | None = None
    errors: int | None = None


class ToolResults(NamedTuple):
    """What a tool reports: ``measured`` says what its latency is; the first series is of all requests."""

    tool: str
    measured: str
    series: tuple[Series, ...]


def read_tool_results(path: Path) -> ToolResults:
    """Read k6's ``--summary-export`` or ``handleSummary``, Locust's ``_stats.csv``, or what AIPerf exports.

    Raises:
        UsageError: it is none of these, or says nothing of latency.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path}: more than {LARGEST // 2**20} MiB is no summary of a tool")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not readable ({error})") from None
    try:
        found = _from_json(json.loads(text)) if text.lstrip().startswith("{") else _from_csv(text)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, csv.Error):
        found = None
    if found is None:
        raise UsageError(
            f"{path}: neither k6's summary (--summary-export, handleSummary), Locust's _stats.csv nor "
            "AIPerf's export"
        )
    if not any(series.quantiles for series in found.series):
        raise UsageError(f"{path}: {found.tool} gives no quantile of latency there")
    return found


def _from_json(document: Mapping[str, Any]) -> ToolResults | None:
    metrics = document.get("metrics")
    results = document.get("results")
    if isinstance(results, dict) and isinstance(results.get("metrics"), list):
        # k6's machine-readable summary, version 1
        metrics = {metric["name"]: metric for metric in results["metrics"]}
    if isinstance(metrics, dict) and "http_req_duration" in metrics:
        return _k6(metrics)
    records = document.get("records", document)
    if isinstance(records, dict) and isinstance(records.get("request_latency"), dict):
        latency = records["request_latency"]
        counts = [_amount(records.get(f"{name}request_count", {}).get("avg")) for name in ("", "error_")]
        return _aiperf(latency, latency["unit"], *counts)
    return None


def _k6(metrics: Mapping[str, Any]) -> ToolResults:
    # handleSummary has the figures under "values", --summary-export beside the thresholds
    values = {name: metric.get("values", metric) for name, metric in metrics.items()}
    failed = values.get("http_req_failed", {})
    requests = _count(values.get("http_reqs", {}).get("count"))
    # of http_req_failed "passes" counts what failed; "matches" in the machine-readable summary
    errors = _count(failed.get("passes", failed.get("matches")))
    series = []
    for name, found in values.items():
        match = _K6.fullmatch(name)
        if match:
            quantiles = _quantiles({"p(50)": found.get("med")} | dict(found), 1e-3)
            whole = match["tags"] is None
            series.append(
                Series(match["tags"] or "all requests", quantiles, *((requests, errors) if whole else ()))
            )
    series.sort(key=lambda one: one.name != "all requests")
    return ToolResults("k6", "from the send to the last byte, without connecting", tuple(series))


def _from_csv(text: str) -> ToolResults | None:
    rows = list(csv.reader(io.StringIO(text)))
    header = rows[0] if rows else []
    if {"Type", "Name", "Request Count", "95%"} <= set(header):
        return _locust([dict(zip(header, row, strict=False)) for row in rows[1:] if row])
    for number, row in enumerate(rows):
        if row and row[0] == "Metric" and "avg" in row:
            for each in rows[number + 1 :]:
                match = _UNIT.fullmatch(each[0]) if each else None
                if match and match["name"] == "Request Latency":
                    single = dict(one for one in rows if len(one) == 2)
                    counts = [_amount(single.get(f"{name}Request Count")) for name in ("", "Error ")]
                    return _aiperf(dict(zip(row, each, strict=False)), match["unit"], *counts)
    return None


def _locust(rows: Iterable[Mapping[str, str]]) -> ToolResults:
    series = [
        Series(
            "all requests" if row["Name"] == "Aggregated" else f"{row['Type']} {row['Name']}".strip(),
            _quantiles(row, 1e-3),
            _count(row["Request Count"]),
            _count(row.get("Failure Count")),
        )
        for row in rows
    ]
    series.sort(key=lambda one: one.name != "all requests")
    return ToolResults("Locust", "from the send, rounded to two digits above 100 ms", tuple(series))


def _aiperf(
    latency: Mapping[str, Any], unit: str, answered: float | None, errors: float | None
) -> ToolResults:
    # its count of requests leaves out those that failed
    requests = None if answered is None else answered + (errors or 0)
    series = Series("all requests", _quantiles(latency, _SECONDS[unit]), _count(requests), _count(errors))
    return ToolResults("AIPerf", "from the send to the last token", (series,))


def _quantiles(found: Mapping[str, Any], unit: float) -> dict[str, float]:
    """``p(95)``, ``95%`` or ``p95``: whichever the tool writes."""
    quantiles = {}
    for name in QUANTILES:
        percent = {"p999": "99.9"}.get(name, name[1:])
        given = (found.get(key) for key in (f"p({percent})", f"{percent}%", name, f"p{percent}"))
        value = next((amount for one in given if (amount := _amount(one)) is not None), None)
        if value is not None:
            quantiles[name] = value * unit
    return quantiles


def _amount(value: Any) -> float | None:
    try:
        amount = float(str(value).replace(",", ""))
    except ValueError:
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None


def _count(value: Any) -> int | None:
    amount = _amount(value)
    return None if amount is None else round(amount)
