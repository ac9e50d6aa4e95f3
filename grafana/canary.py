"""'Canary': how far is the candidate, what was decided, and on which evidence?"""

from __future__ import annotations

from grafana.page import Page
from grafana.panels import NUMBER, RATE, SECONDS, SHARE, both, chart, of_quantiles, tile


def page() -> Page:
    """The dashboard."""
    return (
        Page("canary", "How far is the candidate, what was decided, and on which evidence?")
        .alerts()
        .row(
            5,
            tile(
                "Split",
                SHARE,
                {"candidate": "loadproof:split:ratio_rate1m"},
                "Share of the users that the candidate truly gets.",
                "no users",
            ),
            tile(
                "Users' errors",
                SHARE,
                both("role:gateway_unpinned_errors:ratio_rate1m{$role}"),
                "Last minute.",
            ),
            tile(
                "Accuracy from feedback",
                SHARE,
                both("role:loadproof_feedback_accuracy:ratio_rate5m{$role}"),
                "Of the predictions whose truth came back, last five minutes.",
                "no feedback",
            ),
            tile(
                "Ejected",
                NUMBER,
                {"candidate": "sum(envoy_cluster_outlier_detection_ejections_active)"},
                "1: after five failures in a row the gateway has taken the candidate out.",
            ),
        )
        .title("Users")
        .row(
            8,
            chart(
                "Split",
                SHARE,
                {"candidate": "loadproof:split:ratio_rate1m"},
                "As measured at the gateway over the last minute.",
                most=1,
            ),
            chart(
                "Latency",
                SECONDS,
                of_quantiles("role:gateway_unpinned_request_seconds:$q_rate1m{$role}"),
                "Of users' requests, at the gateway.",
                log=True,
            ),
            chart("Requests", RATE, both("role:gateway_unpinned_requests:rate1m{$role}"), "Users' only."),
        )
        .row(
            8,
            chart(
                "Errors",
                SHARE,
                both("role:gateway_unpinned_errors:ratio_rate1m{$role}"),
                "Users' requests that ended with a 5xx.",
            ),
            chart(
                "Errors in the server",
                SHARE,
                both("role:loadproof_request_errors:ratio_rate1m{$role}"),
                "Of all requests, pinned ones included: what an ejection hides from users.",
            ),
            chart(
                "Ejections",
                NUMBER,
                {"candidate": "sum(increase(envoy_cluster_outlier_detection_ejections_enforced_total[1m]))"},
                "Times that the gateway took the candidate out, last minute.",
            ),
        )
        .title("Quality")
        .row(
            8,
            chart(
                "Accuracy from feedback",
                SHARE,
                both("role:loadproof_feedback_accuracy:ratio_rate1m{$role}"),
                "Last minute.",
                most=1,
            ),
            chart(
                "Feedback",
                NUMBER,
                both("role:loadproof_feedback:increase5m{$role}"),
                "Rows of the last five minutes: how much evidence there is.",
            ),
            chart(
                "Absolute error from feedback",
                NUMBER,
                both("role:loadproof_feedback_absolute_error:mean_rate5m{$role}"),
                "Of a regression, which has no right and wrong; last five minutes.",
            ),
            chart(
                "CPU throttled",
                SHARE,
                both("role:loadproof_cpu_throttled:ratio_rate30s{$role}"),
                "A candidate that gets more users meets its limit here first.",
                most=1,
            ),
        )
    )
