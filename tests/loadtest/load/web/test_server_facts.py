"""What two servers say of themselves, through the file in which Prometheus finds them."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from loadtest.experiment.experiment import Experiment
from loadtest.load.web.server_facts import lab_facts, scrape, server_facts

PAGE = "loadproof_cpu_limit_cores 0.25\nprocess_resident_memory_bytes 1e+08\n"
SAID = {"loadproof_cpu_limit_cores": 0.25, "process_resident_memory_bytes": 1e8}


class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path in ("/metrics", "/stable/metrics") else 404)
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, *args):
        pass


@pytest.fixture
def address():
    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_every_server_is_asked_in_the_role_that_it_plays(tmp_path, address):
    targets = tmp_path / "targets.json"
    entries = [("candidate", address), ("stable", "127.0.0.1:1")]
    targets.write_text(json.dumps([{"targets": [at], "labels": {"role": role}} for role, at in entries]))
    assert scrape(targets) == {"candidate": SAID, "stable": {}}
    entries = [("candidate", "candidate:1"), ("stable", "stable:1")]
    targets.write_text(json.dumps([{"targets": [at], "labels": {"role": role}} for role, at in entries]))
    assert scrape(targets, f"http://{address}") == {"candidate": {}, "stable": SAID}


@pytest.mark.parametrize(
    "content", [None, "{", "[{}]", "7", '[{"labels": {"role": "stable"}, "targets": []}]']
)
def test_without_a_list_of_servers_nobody_is_asked(tmp_path, content):
    targets = tmp_path / "targets.json"
    if content is not None:
        targets.write_text(content)
    assert scrape(targets) == {}
    assert scrape(None) == {}


def said(periods, throttled):
    return SAID | {"loadproof_cpu_periods_total": periods, "loadproof_cpu_throttled_periods_total": throttled}


@pytest.mark.parametrize(
    ("before", "after", "ratio"),
    [
        (said(100, 50), said(300, 60), 0.05),
        # nothing ran in between
        (said(100, 50), said(100, 50), None),
        # started again in between, or silent before
        (said(300, 60), said(100, 50), None),
        ({}, said(100, 50), None),
        # no limit
        (SAID, SAID, None),
    ],
)
def test_throttling_is_that_of_the_run(before, after, ratio):
    facts = {"cpus": 0.25, "cpu_throttled_ratio": ratio, "memory_bytes": 100_000_000}
    assert server_facts({"stable": before}, {"stable": after}) == {"stable": facts}


def test_a_server_that_says_nothing():
    nothing = {"cpus": None, "cpu_throttled_ratio": None, "memory_bytes": None}
    assert server_facts({}, {"stable": {}}) == {"stable": nothing}


RAW = {"name": "e", "model": {"name": "m", "folder": "m"}, "data": {"path": "e.csv"}}
SERVERS = {"stable": {"cpus": 0.25, "cpu_throttled_ratio": None, "memory_bytes": 7}}
TARGET = {"stable": "http://a", "candidate": "http://b", "protocol": "mlflow"}


@pytest.mark.parametrize(
    ("more", "facts"),
    [
        ({}, {"backend": "compose", "limits": {"stable": {"cpus": 0.25}}}),
        # somebody else's servers, whatever the lab beside them is
        ({"target": TARGET, "gates": ["p99 <= 1s"]}, {"backend": "urls", **TARGET}),
    ],
)
def test_facts_of_the_lab(more, facts):
    experiment = Experiment.parse(RAW | more, "test")
    assert lab_facts(experiment, "compose", SERVERS) == facts | {"server_facts": SERVERS}
