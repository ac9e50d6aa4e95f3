"""'Lab health': can the measurement be trusted, and where does the time go?"""

from __future__ import annotations

from contract.metric_names import CPU_LIMIT_CORES, PREDICTIONS
from grafana.page import Page
from grafana.panels import BYTES, NUMBER, RATE, SECONDS, SHARE, both, chart, of_quantiles, states, tile


def page() -> Page:
    """The dashboard."""
    return (
        Page("lab", "Can the measurement be trusted, and where does the time go?")
        .alerts()
        .row(
            4,
            states(
                "Services",
                {"{{job}} {{role}}": "min by (job, role) (up)"},
                "Whether Prometheus reaches each service.",
                good="up",
                bad="down",
            ),
            tile(
                "Alerts",
                NUMBER,
                {"firing": 'count(ALERTS{alertstate="firing"}) or vector(0)'},
                "Alerts that fire now; Prometheus lists them under /alerts.",
            ),
            tile(
                "Workers",
                NUMBER,
                {"workers": "loadproof_load_workers"},
                "Load generators connected to Locust.",
            ),
            widths=(14, 5, 5),
        )
        .title("Load generator")
        .row(
            7,
            chart(
                "Schedule lag",
                SECONDS,
                {
                    "p99": 'run:loadproof_load_schedule_lag_seconds:p99_rate30s{run="$run"}',
                    "limit": 'max(loadproof_run_max_lag_seconds{run="$run"})',
                },
                "How late requests are sent. Above the limit the run is INVALID: the generator is too slow, "
                "not the model.",
                log=True,
            ),
            chart(
                "Arrivals",
                RATE,
                {"offered": 'run:loadproof_load_offered:rate30s{run="$run"}'},
                "Arrivals due per second; in duet traffic each is sent to both versions.",
            ),
            chart(
                "Sent of what was due",
                SHARE,
                {"sent": 'run:loadproof_load_sent:ratio_rate30s{run="$run"}'},
                "Below 95% the run is INVALID.",
                most=1.05,
            ),
        )
        .title("Versions")
        .row(
            7,
            chart(
                "CPU",
                NUMBER,
                both("role:process_cpu_seconds:rate30s{$role}") | {"limit": f"max({CPU_LIMIT_CORES})"},
                "Cores used, and the CPU limit.",
            ),
            chart(
                "Stopped by the CPU limit",
                SHARE,
                both("role:loadproof_cpu_throttled_seconds:rate30s{$role}"),
                "Share of time for which the kernel paused the version's threads (summed over threads).",
            ),
            chart(
                "Memory",
                BYTES,
                both('max(process_resident_memory_bytes{job="versions", $role})'),
                "Resident memory of the version's process.",
            ),
        )
        .row(
            7,
            chart(
                "Latency in the server",
                SECONDS,
                of_quantiles(
                    "role:loadproof_request_duration_seconds:$q_rate1m{$role}", ("p50", "p95", "p99")
                ),
                "From a request's arrival in the server to its answer; what is missing to the client's "
                "latency was spent before and after.",
                log=True,
            ),
            chart(
                "Time of the model",
                SECONDS,
                of_quantiles("role:loadproof_inference_duration_seconds:$q_rate1m{$role}", ("p99",)),
                "For one batch.",
                log=True,
            ),
            chart(
                "Rows in a batch", NUMBER, both("role:loadproof_batch_rows:mean_rate1m{$role}"), "On average."
            ),
        )
        .row(
            7,
            chart(
                "Requests",
                RATE,
                both("role:loadproof_requests:rate1m{$role}"),
                "All answers of the server.",
            ),
            chart(
                "In the server",
                NUMBER,
                {
                    f"{role} {name}": query
                    for name, metric in (("in flight", "requests_in_flight"), ("waiting", "queue_depth"))
                    for role, query in both(f"max(loadproof_{metric}{{$role}})").items()
                },
                "Requests in the server now, and those waiting for the model.",
            ),
            chart(
                "Predictions",
                RATE,
                {
                    f"{role} {{{{class}}}}": query
                    for role, query in both(f"sum by (class) (rate({PREDICTIONS}{{$role}}[1m]))").items()
                },
                "By class: a candidate that answers differently shows here first.",
            ),
        )
        .title("Gateway")
        .row(
            7,
            chart(
                "Requests",
                RATE,
                {"to {{envoy_cluster_name}}": "cluster:gateway_requests:rate1m"},
                "By cluster; canary: the candidate's users.",
            ),
            chart(
                "Retries, time-outs, refusals",
                RATE,
                {
                    name: f"sum(rate(envoy_cluster_upstream_rq_{metric}[1m]))"
                    for name, metric in (
                        ("retries", "retry"),
                        ("time-outs", "timeout"),
                        ("refused: too many waiting", "pending_overflow"),
                    )
                },
                "What the gateway did besides forwarding requests.",
            ),
            chart(
                "Connections",
                NUMBER,
                {"from clients": "sum(envoy_http_downstream_cx_active)"},
                "Open now.",
            ),
        )
        .title("Prometheus")
        .row(
            6,
            chart(
                "Time of a scrape",
                SECONDS,
                {"{{job}} {{role}}": "max by (job, role) (scrape_duration_seconds)"},
                "A scrape times out at 1.5 s.",
            ),
            chart("Series", NUMBER, {"in memory": "prometheus_tsdb_head_series"}, "Kept by Prometheus."),
            chart(
                "Failed rule evaluations",
                NUMBER,
                {"failed": "sum(increase(prometheus_rule_evaluation_failures_total[5m]))"},
                "Should be none.",
            ),
        )
    )
