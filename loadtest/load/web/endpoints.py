"""What Locust's own web server also answers: ``/metrics``, and ``/runs/<run>/report.html``."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response, send_from_directory
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest


def add_routes(app: Flask, registry: CollectorRegistry, results: Path) -> None:
    """Add the routes to Locust's application.

    Args:
        app: Locust's.
        registry: what ``/metrics`` shows.
        results: the folder of the run folders.
    """

    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    def report(run: str) -> Response:
        return send_from_directory(results.absolute(), f"{run}/report.html")

    app.add_url_rule("/metrics", view_func=metrics)
    app.add_url_rule("/runs/<run>/report.html", view_func=report)
