"""Runs that are killed while they measure: nothing runs on, and what was measured is judged."""

import json
import os
import signal
import subprocess
import sys
import uuid

import psutil
import pytest
import tomli_w

from loadtest.data.cut_off_run import is_cut_off
from loadtest.data.run_folder import STREAM
from loadtest.data.sample_stream import StoredStream
from loadtest.experiment.experiment import Experiment
from tests.waiting import HUNG, eventually

pytestmark = pytest.mark.integration

GATES = ["error_rate <= stable + 50pp"]


def marked(mark):
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("LOADPROOF_TEST") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def generator(mark):
    (one,) = [process for process in marked(mark) if "loadtest.load" in process.cmdline()]
    return one


@pytest.mark.parametrize(
    ("who", "how", "seconds", "code"),
    [
        # at the first samples, and later
        ("command", signal.SIGKILL, 0, -signal.SIGKILL),
        ("generator", signal.SIGKILL, 2, 5),
        # a closed terminal
        ("command", signal.SIGHUP, 1, 130),
    ],
)
def test_a_run_that_is_killed(tmp_path, double, job, who, how, seconds, code):
    mark = uuid.uuid4().hex
    # notes of labs of its own: another test's command would remove what this one leaves
    (tmp_path / "tmp").mkdir()
    environment = os.environ | {"LOADPROOF_TEST": mark, "TMPDIR": str(tmp_path / "tmp")}
    loadproof = [sys.executable, "-m", "loadtest"]
    with double(delays=[0.001]) as stable, double(delays=[0.001]) as candidate:
        target = {"stable": stable.url, "candidate": candidate.url}
        folder = job(target=target, duration=600, rate=40)
        raw = Experiment.load_file(str(folder / "experiment.toml")).model_dump(mode="json", exclude_none=True)
        (folder / "experiment.toml").write_text(tomli_w.dumps(raw | {"gates": GATES}))
        options = ["--experiment", str(folder / "experiment.toml"), "--results", str(tmp_path / "results")]
        command = [*loadproof, "compare", *options]
        with (tmp_path / "said").open("w") as said:
            # a suite under nohup hands down that nobody hangs up
            process = subprocess.Popen(
                ["env", "--default-signal=HUP", *command], env=environment, stdout=said, stderr=said
            )

        def measured():
            assert process.poll() is None, (tmp_path / "said").read_text()
            streams = list((tmp_path / "results").glob(f".*/{STREAM}"))
            facts = StoredStream.read(streams[0]).facts if streams else {}
            return facts and facts["settled"] is not None and facts["settled"] > seconds

        eventually(measured)
        (process if who == "command" else generator(mark)).send_signal(how)
        assert process.wait(HUNG) == code
        eventually(lambda: not marked(mark))
    (run,) = (tmp_path / "results").glob(".*.partial")
    assert is_cut_off(run) == (who == "generator")
    judge = [*loadproof, "judge", str(run), "--write"]
    done = subprocess.run(judge, env=environment, capture_output=True, text=True, timeout=HUNG, check=False)
    output = done.stdout + done.stderr
    # the gate is met on what is there, but what the lab saw of the versions is missing
    assert (done.returncode, "Traceback" in output) == (3, False), output
    verdict = json.loads((run / "verdict.json").read_text())
    assert "the run was cut off" in verdict["reason"]
    # 40 arrivals a second, of which all that were settled when it was killed are judged
    assert verdict["versions"]["stable"]["requests"] > 40 * seconds / 2
    if how == signal.SIGKILL and who == "command":
        assert "a command was killed and left its lab behind; removed the local lab" in output
    assert list((tmp_path / "tmp").glob("loadproof-labs-*/*")) == []
