"""The lab of the loadproof command, on real containers."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from loadtest.data.sample_lines import read_line
from loadtest.data.samples import SampleSet
from loadtest.errors import ModelError, ServiceDied, StartError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.lab.cpu_usage import CpuUsage
from loadtest.lab.gateway.signature import sign
from tests.compose.waiting import HUNG, eventually, get_json, settled

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]


def answered_by(url, version=None):
    headers = {"x-model-version": version} if version else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=HUNG) as answer:
        return answer.headers["x-model-version"]


def container_of(docker, lab, service):
    return docker.run(
        *("ps", "-aq", "--filter", f"label=com.docker.compose.project={lab.name}"),
        *("--filter", f"label=com.docker.compose.service={service}"),
        timeout=30,
    ).strip()


def test_takes_another_port_where_the_usual_one_is_in_use(lab):
    assert not lab.endpoints.gateway.endswith(":8080")
    assert lab.endpoints.gateway.startswith("http://127.0.0.1:")
    lab.check()


def test_the_cpu_limit_is_enforced_and_its_throttling_is_seen(lab):
    for role in ("stable", "candidate"):
        assert lab.enforced_cpus(role) == 0.25
        before = lab.cpu_usage(role)
        assert isinstance(before, CpuUsage)
        assert 0 <= before.throttled_periods <= before.periods
        # to answer takes more than so little, however busy the machine is
        lab.set_cpus(role, 0.02)
        try:
            eventually(lambda role=role, before=before: throttled(lab, role) > before.throttled_periods)
        finally:
            lab.set_cpus(role, 0.25)


def throttled(lab, role):
    """So many periods; 0 where it did not say so in time."""
    usage = lab.cpu_usage(role)
    return usage.throttled_periods if usage else 0


def test_the_cpu_limit_of_a_running_version_is_changed_in_place(lab):
    """What a sweep of limits does; the version answers all along, and is not started anew."""
    before = lab.enforced_cpus("candidate")
    try:
        lab.set_cpus("candidate", 0.6)
        assert lab.enforced_cpus("candidate") == pytest.approx(0.6)
        assert lab.enforced_cpus("stable") == pytest.approx(before)
        lab.check()
    finally:
        lab.set_cpus("candidate", before)
    assert lab.enforced_cpus("candidate") == pytest.approx(before)


def test_prometheus_expects_nothing_that_does_not_run(lab):
    """The load comes and goes here, and has no page of Locust to scrape."""
    assert set(settled(lab.endpoints.prometheus).items()) == {
        (("versions", "stable"), "up"),
        (("versions", "candidate"), "up"),
        (("gateway", None), "up"),
        (("prometheus", None), "up"),
    }


def test_each_role_serves_its_own_folder(lab):
    for role, version in (("stable", "v1"), ("candidate", "v2")):
        assert get_json(getattr(lab.endpoints, role) + "/v2/models/tiny")["versions"] == [version]


def split(lab, percent):
    lab.canary.update(lambda state: state.set(percent, sign("a test")))


def test_the_split_is_in_force_when_the_update_returns(lab):
    url = f"{lab.endpoints.gateway}/v2/models/tiny"
    for percent, expected in ((100, {"candidate"}), (0, {"stable"}), (50, {"stable", "candidate"})):
        split(lab, percent)
        assert {answered_by(url) for _ in range(30)} == expected
    # a pinned request goes where it is pinned
    assert [answered_by(url, pin) for pin in ("stable", "candidate")] == ["stable", "candidate"]


def test_the_split_survives_a_restart_of_the_gateway(lab, docker):
    split(lab, 100)
    docker.run("restart", "--timeout", "1", container_of(docker, lab, "gateway"), timeout=60)
    url = f"{lab.endpoints.gateway}/v2/models/tiny"
    assert eventually(lambda: {answered_by(url) for _ in range(10)}, trouble=OSError) == {"candidate"}
    split(lab, 10)


@pytest.fixture
def job(tmp_path, tiny_models):
    """A job folder that nobody else may read, as a umask of 077 makes it."""
    parts = {
        "model": {"name": "tiny", "folder": tiny_models / "tiny"},
        "data": {"path": tiny_models / "rows.parquet", "label": "label"},
        "load": {"rate": 20, "duration": 4, "warmup": 1, "baseline": 1, "timeout": 60},
    }
    experiment = Experiment.model_validate({"name": "tiny"} | parts)
    folder = tmp_path / "job"
    folder.mkdir(mode=0o700)
    (folder / "experiment.toml").write_text(experiment.to_toml())
    (folder / "experiment.toml").chmod(0o600)
    return folder


def test_load_runs_beside_the_gateway_and_its_samples_come_out(lab, job):
    process = lab.launch_load(job)
    lines = [read_line(line) for line in process.lines()]
    assert process.wait() in (0, 4)
    assert any(isinstance(line, dict) for line in lines)
    samples = SampleSet.read(job / "samples.parquet")
    # none is lost on the way out of the container while it runs
    assert sum(len(line) for line in lines if isinstance(line, SampleSet)) == len(samples)
    assert len(samples.of("stable")) == len(samples.of("candidate")) > 20
    assert not samples.failed.any()
    assert "offered_rps" in json.loads((job / "load.json").read_text())
    assert (job / "samples.parquet").stat().st_uid == os.getuid()
    lab.check()


def test_stopping_keeps_what_was_measured(lab, job):
    # longer than anything here may take: it ends because it is stopped
    hours = Experiment.load_file(str(job / "experiment.toml"), {"load": {"duration": 7200}})
    (job / "experiment.toml").write_text(hours.to_toml())
    process = lab.launch_load(job)
    lines = map(read_line, process.lines())
    seen = next(line for line in lines if isinstance(line, SampleSet) and len(line))
    process.stop()
    process.stop()
    assert process.wait() in (0, 4, 130)
    kept = SampleSet.read(job / "samples.parquet")
    assert len(kept) < hours.load.rate * hours.load.duration
    # the same samples that were seen before it was stopped
    assert set(seen.scheduled_at) <= set(kept.scheduled_at)
    lab.check()


def test_a_load_that_refuses_its_input_says_so_in_its_own_line(lab, job):
    text = (job / "experiment.toml").read_text()
    (job / "experiment.toml").write_text(text.replace('label = "label"', 'label = "labl"'))
    process = lab.launch_load(job)
    assert process.wait() not in (0, 4)
    with pytest.raises(UsageError, match=r"rows.parquet: no column 'labl'; it has a, b, label"):
        lab.check()
    assert not (job / "samples.parquet").exists()


def test_facts_about_the_environment(lab):
    facts = lab.environment()
    assert facts["backend"] == "compose"
    assert facts["limits"]["stable"] == {"cpus": 0.25, "memory": 2**29}
    assert facts["images"]["stable"].startswith("sha256:")
    json.dumps(facts)


def test_a_version_that_cannot_start_is_named_with_its_log(open_lab, tiny_models, gone):
    broken = tiny_models / "tiny" / "broken"
    broken.mkdir(exist_ok=True)
    (broken / "model.toml").write_text("name = 'tiny'\n")
    lab = open_lab("v1", "broken")
    with pytest.raises(StartError, match="candidate did not start: it ended with exit code") as caught, lab:
        pytest.fail("the lab started")
    assert "model.toml" in "\n".join(caught.value.log)
    assert gone(lab.name)


def test_a_folder_that_containers_may_not_read(open_lab, tiny_models, gone):
    private = tiny_models / "tiny" / "private"
    private.mkdir(mode=0o700, exist_ok=True)
    lab = open_lab("v1", "private")
    with pytest.raises(ModelError, match="containers may not read it; run chmod"), lab:
        pytest.fail("the lab started")
    assert gone(lab.name)


def test_ctrl_c_while_it_starts_leaves_nothing(tiny_models, gone):
    source = f"""
from pathlib import Path
from loadtest.lab.compose.lab import ComposeLab
from loadtest.lab.interface import Version
folder = Path({str(tiny_models)!r}) / "tiny" / "v1"
lab = ComposeLab((Version("stable", folder, 0.25, 2**29), Version("candidate", folder, 0.25, 2**29)))
print(lab.name, flush=True)
with lab:
    print("started", flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        name = process.stdout.readline().strip()
        # in the middle: something is there, and nothing is ready
        while process.poll() is None and gone(name):
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=HUNG)
    assert out == ""
    assert "KeyboardInterrupt" in err
    assert gone(name)


def test_a_version_that_dies_is_named(lab, docker):
    """Last, because the lab is broken afterwards."""
    docker.run("kill", container_of(docker, lab, "candidate"), timeout=30)
    with pytest.raises(ServiceDied, match="candidate ended with exit code 137") as caught:
        lab.check()
    assert caught.value.log
