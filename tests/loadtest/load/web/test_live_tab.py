"""The tab in Locust's web UI, over a bare Flask application as Locust's."""

import re

import pytest
from flask import Flask, jsonify

from loadtest.errors import LabError
from loadtest.experiment.experiment import Experiment
from loadtest.load.live.counts import LiveCounts
from loadtest.load.live.progress import Progress
from loadtest.load.web.live_tab import LivePage
from tests.loadtest.made_samples import Sample, sample_set

EXPERIMENT = Experiment.load_file("compare")
VERDICT = {
    "verdict": "FAIL",
    "reason": "slower",
    "gates": [
        {
            "name": "p50 <= stable + 5ms", "verdict": "FAIL", "estimate": 9.0, "interval": [8.0, 10.0],
            "margin": 5.0, "unit": "ms", "reason": "beyond",
        }
    ],
}  # fmt: skip


class Web:
    """Locust's application with the page in it, and a client."""

    def __init__(self):
        self.problem = None
        self.page = LivePage(lambda: self.problem)
        self.arguments = {}
        app = Flask("as_locust")

        @app.route("/")
        def index():
            return "<html><body><div id='root'></div></body></html>"

        @app.route("/stats/requests")
        def stats():
            return jsonify({"stats": [1], "state": "running"})

        self.page.extend(app, self.arguments)
        self.client = app.test_client()

    def live(self):
        return self.client.get("/loadproof/live.json").json


@pytest.fixture
def web():
    return Web()


def event(elapsed, requests=10):
    counts = LiveCounts(0.25)
    progress = Progress(counts)
    counts.add(
        sample_set(
            Sample(i, v, i / 10, i / 10, i / 10 + 0.02, 200, None, "a", True, None, 0)
            for i in range(requests)
            for v in ("stable", "candidate")
        )
    )
    return progress.event(elapsed, requests)


def test_locust_gets_a_tab_and_its_table_and_keeps_its_own_figures(web):
    assert web.arguments["extended_tabs"] == [{"key": "loadproof", "title": "Loadproof"}]
    assert [column["key"] for column in web.arguments["extended_tables"][0]["structure"]] == [
        "name", "stable", "candidate",
    ]  # fmt: skip
    web.page.begin(EXPERIMENT)
    web.page.show(event(1.0))
    answer = web.client.get("/stats/requests").json
    assert (answer["stats"], answer["state"]) == ([1], "running")
    (table,) = answer["extended_stats"]
    assert table["data"][:2] == [
        {"name": "running", "stable": "", "candidate": ""},
        {"name": "answers", "stable": "10", "candidate": "10"},
    ]


def test_the_script_is_put_into_locusts_page_and_into_no_other(web):
    assert web.client.get("/").text.count("loadproof/tab.js") == 1
    assert "tab.js" not in web.client.get("/loadproof/").text
    assert web.client.get("/loadproof/tab.js").content_type.startswith("text/javascript")


def test_the_page_needs_nothing_from_elsewhere(web):
    page = web.client.get("/loadproof/").text
    assert not re.findall(r"""(?:src|href)\s*=\s*["']|@import|url\(""", page)
    assert "--candidate: #" in page


def test_a_run_from_the_form_to_the_verdict(web):
    assert (web.live()["state"], web.live()["figures"]) == ("ready", None)
    web.page.begin(EXPERIMENT)
    assert web.live()["versions"] == {"stable": "v1", "candidate": "v2"}
    web.page.show(event(-2.0) | {"sent": 0})
    assert (web.live()["state"], web.live()["history"]) == ("warming up", [])
    web.page.show(event(1.0))
    web.page.show_gates(VERDICT["gates"])
    live = web.live()
    assert (live["state"], len(live["history"]), live["gates"]) == ("running", 1, VERDICT["gates"])
    assert live["history"][0]["stable"]["p50"] == pytest.approx(20, rel=0.02)
    assert "over all analyses together" in live["claim"]
    # the last answers and the baseline answers after the load are no part of the curve
    web.page.show(event(2.0))
    assert (web.live()["figures"]["elapsed"], len(web.live()["history"])) == (2.0, 1)
    web.page.judging()
    assert web.live()["state"] == "judging"
    web.page.judged("20260101T000000Z-compare", VERDICT)
    live = web.live()
    assert (live["state"], live["reason"], live["claim"]) == ("over", "slower", "")
    assert live["verdict"] == {
        "verdict": "FAIL", "report": "/runs/20260101T000000Z-compare/report.html",
    }  # fmt: skip
    # the next run begins with a clean page
    web.page.begin(EXPERIMENT)
    assert [web.live()[key] for key in ("figures", "history", "gates", "verdict")] == [None, [], [], None]


def test_a_control_has_its_columns_and_the_end_shows_its_noise(web):
    load = EXPERIMENT.load.model_copy(update={"control": True})
    experiment = EXPERIMENT.model_copy(update={"load": load})
    arguments = {}
    web.page.extend(Flask("another"), arguments, experiment.roles)
    columns = [column["key"] for column in arguments["extended_tables"][0]["structure"]]
    assert columns == ["name", "stable", "candidate", "control"]
    web.page.begin(experiment)
    assert web.live()["versions"] == {"stable": "v1", "candidate": "v2", "control": "v1"}
    assert web.live()["control"] == []
    noise = [{"name": "p50 <= stable + 5ms", "estimate": 0.1, "interval": [-1.0, 1.2], "unit": "ms"}]
    web.page.judged("20260101T000000Z-compare", VERDICT | {"control": noise})
    assert web.live()["control"] == noise


def test_what_goes_wrong_is_said(web):
    web.page.begin(EXPERIMENT)
    web.problem = LabError("nothing answers there")
    assert (web.live()["state"], web.live()["reason"]) == ("failed", "nothing answers there")
    web.problem = None
    web.page.failed("not judged")
    assert (web.live()["state"], web.live()["reason"]) == ("failed", "not judged")


def test_a_long_run_does_not_fill_the_memory(web):
    web.page.begin(EXPERIMENT)
    for second in range(2000):
        web.page.show(event(float(second), requests=1) | {"sent": second + 1})
    assert len(web.live()["history"]) == 600
