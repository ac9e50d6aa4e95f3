"""The load generator under the ``locust`` command: headless, in its web UI, and over several workers."""

import json

import pytest
import requests

from loadtest.data.samples import SampleSet
from loadtest.experiment.experiment import Experiment
from loadtest.judge.verdict import Word
from tests.integration.locust_process import Page, free_port, locust, runs, until

pytestmark = pytest.mark.integration


def read(run):
    return SampleSet.read(run / "samples.parquet"), json.loads((run / "load.json").read_text())


def total(runs):
    """Requests per version of several runs, as their files tell them."""
    read_runs = [read(run) for run in runs]
    return {
        version: sum(
            len(samples.of(version))
            + facts["warmup_requests"][version]
            + facts["baseline"][version]["requests"]
            for samples, facts in read_runs
        )
        for version in ("stable", "candidate")
    }


def seen(server):
    return {version: server.seen()[version] for version in ("stable", "candidate")}


def test_headless(double, job):
    folder = job(rate=50, duration=1)
    versions = {"LOADPROOF_STABLE": "v1", "LOADPROOF_CANDIDATE": "v7"}
    with (
        double() as server,
        locust(folder, "--headless", "--host", server.url, "--rate", "80", **versions) as process,
    ):
        code = process.wait(200)
        (run,) = runs(folder)
        assert total([run]) == seen(server)
    assert (folder / "results" / "latest").resolve() == run
    experiment = Experiment.load_file(str(run / "experiment.toml"))
    assert (experiment.load.rate, experiment.versions.candidate) == (80, "v7")
    assert "Traceback" not in (folder / "locust.log").read_text()
    # the loadproof command judged it
    verdict = json.loads((run / "verdict.json").read_text())
    assert (verdict["experiment"], verdict["backend"]) == ("known", "local")
    assert code == Word(verdict["verdict"]).exit_code
    # what it ran on is told as of any other run
    told = json.loads((run / "environment.json").read_text())
    assert {"loadproof", "python", "platform", "packages", "backend", "limits", "server_facts"} <= told.keys()


def test_two_servers_by_their_urls_from_the_web_ui(double, job):
    """The form has no host: the experiment names both servers."""
    page = Page()
    with double() as stable, double() as candidate:
        folder = job(rate=50, target={"stable": stable.url, "candidate": candidate.url})
        with locust(folder, *page.options):
            until(page.is_up)
            page.start(rate="60", duration="1s", host="")
            (run,) = until(lambda: runs(folder))
        samples, facts = read(run)
        for version, server in (("stable", stable), ("candidate", candidate)):
            assert not samples.of(version).failed.any()
            # and one row, that it answers at all
            assert (
                sum(server.seen()[name] for name in ("stable", "candidate", "other"))
                == 1 + total([run])[version]
            )
    assert facts["valid"], facts["reason"]


@pytest.mark.parametrize(
    ("spoil", "code", "message"),
    [
        ("target", 5, "nothing answers there"),
        ("data", 2, "evaluation.parquet: no such file"),
        ("experiment", 2, "experiment.toml: no such experiment file"),
    ],
)
def test_what_cannot_run_is_told_in_one_line(job, spoil, code, message):
    folder = job(rate=50)
    if spoil != "target":
        (folder / {"data": "evaluation.parquet", "experiment": "experiment.toml"}[spoil]).unlink()
    with locust(folder, "--headless", "--host", "http://127.0.0.1:1") as process:
        assert process.wait(200) == code
    log = (folder / "locust.log").read_text()
    assert sum(message in line for line in log.splitlines()) == 1
    assert "Traceback" not in log
    assert not runs(folder)


def test_the_web_ui_starts_stops_and_starts_again(double, job):
    folder = job(rate=50, duration=60)
    page = Page()
    with double() as server, locust(folder, *page.options, "--host", server.url):
        until(page.is_up)
        start_form = page.get().text
        assert '"rate"' in start_form
        assert '"duration"' in start_form
        # users and spawn rate change nothing, whoever sends them
        page.start(rate="100", duration="240s", user_count="7", spawn_rate="3")
        until(lambda: page.live()["state"] == "running" and page.live()["figures"]["sent"])
        assert set(page.answered()) == {"stable", "candidate", "Aggregated"}
        page.stop()
        first = until(lambda: runs(folder))[0]
        samples, facts = read(first)
        assert (facts["ended"], facts["valid"]) == ("stopped", True), facts["reason"]
        assert Experiment.load_file(str(first / "experiment.toml")).load.rate == 100
        assert facts["offered_rps"] * facts["duration_s"] == pytest.approx(len(samples.of("stable")))
        until(lambda: page.answered()["stable"] == len(samples.of("stable")))
        # again, to its end
        page.start(rate="60", duration="1s")
        second = until(lambda: runs(folder)[1:])[0]
        _, facts = read(second)
        assert (facts["ended"], facts["duration_s"]) == ("completed", 1.0)
        until(lambda: page.stats()["state"] == "stopped")
        assert total([first, second]) == seen(server)
        # a target that is gone is said, and the pages stay
        page.start(host="http://127.0.0.1:1")
        told = until(lambda: page.get("/exceptions").json()["exceptions"])
        assert "nothing answers there" in told[0]["msg"]
        assert page.is_up()
        until(lambda: (second / "verdict.json").exists())
    assert "Traceback" not in (folder / "locust.log").read_text()


def test_another_site_cannot_drive_the_web_ui(double, job):
    page = Page()
    with double() as server, locust(job(rate=50), *page.options, "--host", server.url):
        until(page.is_up)
        foreign = {"Origin": "https://evil.example"}
        for path in ("/swarm", "/stop"):
            assert requests.post(page.url + path, headers=foreign, timeout=60).status_code == 403
        for path in ("/", "/metrics", "/loadproof/live.json", "/runs/latest/report.html"):
            for headers in (foreign, {"Host": "evil.example"}):
                refused = requests.get(page.url + path, headers=headers, timeout=60)
                assert (refused.status_code, refused.text.count("\n")) == (403, 1)
        assert page.stats()["state"] == "ready"
        ours = page.get("/loadproof/live.json")
        assert ours.ok
        assert not [name for name in ours.headers if name.lower().startswith("access-control")]
        assert total([]) == seen(server)


def test_the_web_ui_over_several_workers(double, job):
    folder = job(rate=100)
    page = Page()
    port = str(free_port())
    master = ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port]
    worker = ["--worker", "--master-host", "127.0.0.1", "--master-port", port]

    def states():
        return [worker["state"] for worker in page.stats()["workers"]]

    with (
        double() as server,
        locust(folder, *page.options, *master, "--host", server.url),
        locust(folder, *worker) as one,
        locust(folder, *worker),
    ):
        until(page.is_up)
        until(lambda: page.stats()["worker_count"] == 2)
        # a Stop soon after the Start ends it, too
        page.start(duration="240s")
        # what Locust's page says is up to 2 s old: "ready" must not be of before the Start
        until(lambda: "ready" not in states())
        page.stop()
        halted = until(lambda: runs(folder))[0]
        samples, facts = read(halted)
        assert (facts["ended"], facts["valid"]) == ("stopped", len(samples) > 0)
        assert ("before anything was measured" in str(facts["reason"])) == (len(samples) == 0)
        # one that is still stopping would take no part
        until(lambda: states() == ["ready", "ready"])
        page.start(duration="2s")
        first = until(lambda: runs(folder)[1:])[0]
        samples, facts = read(first)
        assert (facts["valid"], facts["workers"]) == (True, 2), facts["reason"]
        assert set(samples.table["worker"].to_pylist()) == {0, 1}
        # the next run goes on with the workers that are left
        one.terminate()
        one.wait(120)
        until(lambda: page.stats()["worker_count"] == 1)
        page.start(rate="40", duration="240s")
        # Locust's own figures are still those of the first run
        until(lambda: page.live()["state"] == "running" and page.live()["figures"]["sent"])
        page.stop()
        second = until(lambda: runs(folder)[2:])[0]
        _, facts = read(second)
        assert (facts["valid"], facts["workers"], facts["ended"]) == (True, 1, "stopped"), facts["reason"]
        assert total([halted, first, second]) == seen(server)
    assert "Traceback" not in (folder / "locust.log").read_text()
