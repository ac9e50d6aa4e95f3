"""Files as k6, Locust and AIPerf write them; figures in seconds."""

import json

import pytest

from loadtest.data.tool_results import read_tool_results
from loadtest.errors import UsageError

TREND = {"avg": 5.0, "min": -1.0, "med": 4.0, "max": 90.0, "p(90)": 8.0, "p(95)": 9.5}
SUMMARY_EXPORT = {
    "root_group": {"name": ""},
    "metrics": {
        "http_req_duration": TREND | {"thresholds": {"p(95)<900": False}},
        "http_req_duration{name:login}": {**TREND, "med": 6.0},
        "http_reqs": {"count": 300, "rate": 33.7},
        # of a rate that counts failures, "passes" are what failed
        "http_req_failed": {"passes": 3, "fails": 297, "value": 0.01},
        "http_req_waiting": TREND,
    },
}
HANDLE_SUMMARY = {
    "metrics": {
        name: {"type": "trend", "contains": "time", "values": values}
        for name, values in SUMMARY_EXPORT["metrics"].items()
    }
}
MACHINE_READABLE = {
    "version": "1.0.0",
    "results": {
        "checks": {"metrics": []},
        "metrics": [
            {"name": "http_req_duration", "type": "trend", "contains": "time", "values": TREND},
            {"name": "http_reqs", "type": "counter", "contains": "default", "values": {"count": 300}},
            {"name": "http_req_failed", "type": "rate", "values": {"matches": 3, "total": 300, "rate": 0.01}},
        ],
    },
}
LOCUST = """\
Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,\
Max Response Time,Average Content Size,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%
GET,/healthz,183,0,6,7.83,1.23,79.77,3.0,26.19,0.0,6,8,10,11,14,16,24,37,80,80,80
GET,"/a, b",168,168,6,7.55,1.37,26.77,36.0,24.05,24.05,6,8,9,11,15,21,24,25,27,27,27
,Aggregated,351,168,6,7.70,1.23,79.77,18.79,50.24,24.05,6,8,9,11,15,19,24,25,80,80,80
"""
AIPERF = {
    "request_throughput": {"unit": "requests/sec", "avg": 1.25},
    "request_latency": {"unit": "ms", "avg": 200.0, "p50": 180.0, "p99": 2106.0},
    "request_count": {"unit": "requests", "avg": 64.0},
}
AIPERF_CSV = """\
Metric,avg,min,max,p99,p95,p90,p75,p50,p25
Time to First Token (ms),"1,146.31",249.48,"3,485.23","3,457.97","3,349.56","3,215.06","1,330.93",640.07,1
Request Latency (ms),"6,406.20","5,371.47","9,608.72","9,436.13","9,046.58","9,028.16","6,549.60","5,690.23",1

Metric,Value
Request Throughput (requests/sec),1.5
"""


@pytest.mark.parametrize(
    ("text", "tool", "quantiles", "counts"),
    [
        (json.dumps(SUMMARY_EXPORT), "k6", {"p50": 0.004, "p90": 0.008, "p95": 0.0095}, (300, 3)),
        (json.dumps(HANDLE_SUMMARY), "k6", {"p50": 0.004, "p90": 0.008, "p95": 0.0095}, (300, 3)),
        (json.dumps(MACHINE_READABLE), "k6", {"p50": 0.004, "p90": 0.008, "p95": 0.0095}, (300, 3)),
        (
            LOCUST,
            "Locust",
            {"p50": 0.006, "p90": 0.015, "p95": 0.019, "p99": 0.025, "p999": 0.08},
            (351, 168),
        ),
        # as Locust 1.0 wrote it
        (
            LOCUST.replace("\n,Agg", "\nNone,Agg")
            .replace("99.99%,", "99.99%,99.999%,")
            .replace("80,80\n", "80,80,80\n"),
            "Locust",
            {"p50": 0.006, "p999": 0.08},
            (351, 168),
        ),
        # as a spreadsheet saves it
        ("\ufeff" + LOCUST.replace("\n", "\r\n"), "Locust", {"p50": 0.006, "p95": 0.019}, (351, 168)),
        (json.dumps(AIPERF), "AIPerf", {"p50": 0.18, "p99": 2.106}, (64, None)),
        # requests that failed stand beside those that were counted
        (
            json.dumps(AIPERF | {"error_request_count": {"unit": "requests", "avg": 11.0, "p50": None}}),
            "AIPerf",
            {"p50": 0.18},
            (75, 11),
        ),
        (
            AIPERF_CSV + "Error Request Count,11.00\nRequest Count,89.00\n",
            "AIPerf",
            {"p50": 5.69023},
            (100, 11),
        ),
        # of earlier releases
        (json.dumps({"records": AIPERF}), "AIPerf", {"p50": 0.18, "p99": 2.106}, (64, None)),
        (json.dumps({"request_latency": {"unit": "s", "p50": 1.5}}), "AIPerf", {"p50": 1.5}, (None, None)),
        (AIPERF_CSV, "AIPerf", {"p50": 5.69023, "p90": 9.02816, "p99": 9.43613}, (None, None)),
    ],
)
def test_what_tools_write(tmp_path, text, tool, quantiles, counts):
    path = tmp_path / "file"
    path.write_bytes(text.encode())
    found = read_tool_results(path)
    first = found.series[0]
    assert (found.tool, first.name, (first.requests, first.errors)) == (tool, "all requests", counts)
    assert {name: first.quantiles[name] for name in quantiles} == pytest.approx(quantiles)


def test_kinds_of_requests(tmp_path):
    path = tmp_path / "own_stats.csv"
    path.write_text(LOCUST)
    assert [one.name for one in read_tool_results(path).series] == [
        "all requests",
        "GET /healthz",
        "GET /a, b",
    ]
    path.write_text(json.dumps(SUMMARY_EXPORT))
    assert read_tool_results(path).series[1].name == "name:login"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "neither k6's summary"),
        ("{", "neither k6's summary"),
        ("[1]", "neither k6's summary"),
        ('{"metrics": {"http_reqs": {"count": 1}}}', "neither k6's summary"),
        # what PowerShell's ConvertTo-Json makes of it at its default depth
        ('{"metrics": {"http_req_duration": {"values": "@{med=82}"}}}', "neither k6's summary"),
        ('{"request_latency": {"unit": "furlongs", "p50": 1}}', "neither k6's summary"),
        ("name,age\nann,7\n", "neither k6's summary"),
        ('{"metrics": {"http_req_duration": {"avg": 5.0}}}', "k6 gives no quantile"),
        ('{"metrics": {"http_req_duration": {"med": NaN}}}', "k6 gives no quantile"),
        # nothing was sent
        (
            LOCUST.splitlines()[0] + "\n,Aggregated,0,0,0,0,0,0,0,0,0" + ",N/A" * 11,
            "Locust gives no quantile",
        ),
    ],
)
def test_what_is_none(tmp_path, text, says):
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(UsageError, match=says):
        read_tool_results(path)


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="not readable"):
        read_tool_results(tmp_path)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not readable"):
        read_tool_results(tmp_path / "bytes")
