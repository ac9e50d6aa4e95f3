import pytest
from flask import Flask
from prometheus_client import CollectorRegistry, Gauge

from loadtest.load.web.live_tab import add_routes


@pytest.fixture
def client(tmp_path):
    registry = CollectorRegistry()
    Gauge("seen", "Seen.", registry=registry).set(7)
    (tmp_path / "results" / "one").mkdir(parents=True)
    (tmp_path / "results" / "one" / "report.html").write_text("the report")
    (tmp_path / "report.html").write_text("not for anybody")
    app = Flask("pages")
    add_routes(app, registry, tmp_path / "results")
    return app.test_client()


def test_metrics(client):
    answer = client.get("/metrics")
    assert "seen 7.0" in answer.text
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/runs/one/report.html", 200),
        ("/runs/two/report.html", 404),
        # out of the results folder
        ("/runs/../report.html", 404),
        ("/runs/%2e%2e/report.html", 404),
        ("/runs/..%2f/report.html", 404),
        # nothing else of a run
        ("/runs/one/samples.parquet", 404),
    ],
)
def test_reports(client, path, status):
    assert client.get(path, follow_redirects=True).status_code == status
