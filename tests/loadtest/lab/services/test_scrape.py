"""A scrape over HTTP: who answers in time counts, whoever is silent holds nobody up."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest

from loadtest.errors import LabError
from loadtest.lab.interface import Endpoints
from loadtest.lab.services.scrape import Scraper
from tests.waiting import HUNG

NOBODY = "http://127.0.0.1:1"
ROLES = {"stable": "stable", "candidate": "candidate"}


@pytest.fixture
def service():
    release = threading.Event()

    class Service(BaseHTTPRequestHandler):
        asked: list = []  # noqa: RUF012

        def do_GET(self):
            Service.asked.append(unquote(self.path))
            if self.path.startswith("/slow"):
                release.wait()
            status = 503 if self.path.startswith("/sick") and self.path.endswith("/ready") else 200
            body = b"up 1\n"
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        Service.url = f"http://127.0.0.1:{server.server_port}"
        yield Service
        release.set()
        server.shutdown()
        thread.join()


def scrape(stable, candidate, stats, roles=ROLES, timeout=HUNG):
    scraper = Scraper(Endpoints(NOBODY, stable, candidate, stats=stats), roles, timeout)
    try:
        return scraper()
    finally:
        scraper.close()


def test_everybody_is_asked_for_metrics_and_the_versions_for_their_health(service):
    pages, ready = scrape(f"{service.url}/a", f"{service.url}/sick", service.url)
    assert pages == dict.fromkeys(("gateway", "stable", "candidate"), "up 1\n")
    assert ready == {"stable": True, "candidate": False}
    assert {"/a/metrics", "/a/v2/health/ready", "/sick/metrics"} <= set(service.asked)
    # the gateway's filter arrives as it was meant
    assert any(
        path.startswith("/stats/prometheus?filter=unpinned.[0-9].[0-9].upstream_rq_(")
        for path in service.asked
    )


def test_after_a_promotion_the_services_have_changed_roles(service):
    swapped = {"stable": "candidate", "candidate": "stable"}
    _, ready = scrape(f"{service.url}/sick", f"{service.url}/a", service.url, swapped)
    assert ready == {"stable": True, "candidate": False}


def test_who_does_not_answer_is_missing_and_the_others_are_not_waited_for_longer(service):
    # the silent one is silent for good; how much time the others need is for this machine to say
    for timeout in (0.5, 5.0, HUNG):
        pages, ready = scrape(f"{service.url}/a", f"{service.url}/slow", NOBODY, timeout=timeout)
        if pages["stable"] and ready["stable"]:
            break
    assert pages == {"gateway": None, "stable": "up 1\n", "candidate": None}
    assert ready == {"stable": True, "candidate": False}


def test_a_lab_that_hides_its_gateways_counters_is_refused():
    with pytest.raises(LabError, match="9902"):
        Scraper(Endpoints(NOBODY, NOBODY, NOBODY), ROLES, 1.0)
