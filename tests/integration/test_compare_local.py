"""The main job on the local lab: real servers, a real Envoy, real Locust, through the command itself."""

import contextlib
import json
import os
import re
import subprocess
import sys
import tomllib
import uuid
from xml.etree import ElementTree as ET

import psutil
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
import tomli_w

from loadtest.experiment.experiment import EXPERIMENTS
from tests.command import command
from tests.integration.tiny_model import tiny

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("shop"),
]

WHOLE = {
    "experiment.toml", "environment.json", "load.json", "samples.parquet", "samples.parquet.sha256",
    "verdict.json", "junit.xml", "summary.md", "report.html",
}  # fmt: skip


DEAD = "http://127.0.0.1:1"
COMMAND = [sys.executable, "-m", "loadtest", "compare", "--backend", "local"]
MARK = {"LOADPROOF_TEST": uuid.uuid4().hex}
"""In the environment of everything that these tests start, so that what is left of it can be told."""


def loadproof(*arguments: str, results, backend=("--backend", "local")) -> tuple[int, str]:
    got = command("compare", *backend, "--results", str(results), *arguments, **MARK)
    assert_nothing_left()
    return got


def ended(words: list[str]) -> tuple[int, str]:
    """Run a command to its end, as a process: its exit code and all that it said."""
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=580, check=False, env={**os.environ, **MARK}
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert_nothing_left()
    return done.returncode, done.stdout + done.stderr


def still_running() -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if MARK.items() <= process.environ().items() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def assert_nothing_left() -> None:
    _, alive = psutil.wait_procs(still_running(), timeout=60)
    assert not alive


WIDE = ["error_rate <= stable + 50pp", "accuracy >= stable - 20pp"]
"""Gates that every version passes on every machine, within seconds."""


@pytest.fixture
def quick(tmp_path):
    """``quick(gates)``: a bundled experiment, quick to start, on a machine that may be slow and late."""

    def make(gates=WIDE, name="compare", own=None, **load) -> str:
        raw = tomllib.loads((EXPERIMENTS / f"{name}.toml").read_text())
        patient = {"warmup": "0.5s", "baseline": "1s", "timeout": "20s", "max_lag": "5s"}
        raw |= {"gates": gates, "load": raw["load"] | patient | load} | (own(tmp_path) if own else {})
        path = tmp_path / "quick.toml"
        path.write_text(tomli_w.dumps(raw))
        return str(path)

    return make


PARTLY = ["accuracy >= stable - 1pp"]
SLOW = ["p50 <= stable"]


@pytest.mark.parametrize(
    ("variables", "experiment", "word", "says"),
    [
        # wrong on a part of the rows
        (["CANDIDATE=b-shy", "DURATION=5s"], {"gates": PARTLY, "own": tiny}, "FAIL", f"FAIL: {PARTLY[0]}"),
        # wrong for all, without waiting for the rest of ten minutes
        (["CANDIDATE=wrong", "UNTIL_DECIDED=1"], {"gates": PARTLY, "own": tiny}, "FAIL", "; decided after"),
        # the same version twice, both deployed twice
        (["CANDIDATE=v1", "RESTARTS=2", "DURATION=3s"], {"own": tiny}, "PASS", "restart 2 of 2"),
        # honest answers, slower on any machine; a latency takes twelve blocks of 2.5 s
        (
            ["CANDIDATE=slow", "DURATION=30s", "RATE=10"],
            {"gates": SLOW, "own": tiny},
            "FAIL",
            f"FAIL: {SLOW[0]}",
        ),
        # real data
        (["DURATION=5s"], {"name": "digits"}, "PASS", "PASS"),
    ],
    ids=["partly", "until-decided", "restarts", "slow", "digits"],
)
def test_verdicts(tmp_path, quick, variables, experiment, word, says):
    defaults = ["BACKEND=local", f"RESULTS={tmp_path}/results", f"EXPERIMENT={quick(**experiment)}"]
    made, output = ended(["make", "loadtest", *defaults, *variables])
    assert says in output
    (code,) = map(int, re.findall(r"\(exit code (\d)\)$", output, re.M))
    assert code == {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "INVALID": 4}[word], output
    assert made == (2 if code else 0)  # make turns every code but 0 into its own
    folder = (tmp_path / "results" / "latest").resolve()
    assert {path.name for path in folder.iterdir()} == WHOLE
    verdict = json.loads((folder / "verdict.json").read_text())
    assert (verdict["backend"], verdict["verdict"]) == ("local", word)
    cases = ET.parse(folder / "junit.xml").getroot().iter("testcase")
    assert len(list(cases)) == len(verdict["gates"]) + 1


@pytest.mark.parametrize(
    ("load", "gates", "code", "says"),
    [
        # too short to know a latency
        ({"duration": 3}, SLOW, 3, "p50 needs 12 time blocks"),
        # no generator is so punctual
        ({"duration": 2, "max_lag": 1e-6}, WIDE, 4, "late at the 99th percentile"),
    ],
    ids=["short", "late"],
)
def test_what_a_run_cannot_know(tmp_path, double, job, load, gates, code, says):
    with double() as stable, double() as candidate:
        path = (
            job(target={"stable": stable.url, "candidate": candidate.url}, rate=20, **load)
            / "experiment.toml"
        )
        path.write_text(tomli_w.dumps(tomllib.loads(path.read_text()) | {"gates": gates}))
        # no backend: the servers are there
        got, output = loadproof("--experiment", str(path), results=tmp_path / "results", backend=())
    assert got == code, output
    assert says in output
    folder = (tmp_path / "results" / "latest").resolve()
    assert {path.name for path in folder.iterdir()} == WHOLE


def test_three_workers_a_control_and_another_seed(tmp_path, quick):
    options = ["--experiment", quick(own=tiny), "--candidate", "v1", "--duration", "3s", "--control"]
    code, output = loadproof(*options, "--workers", "3", "--seed", "7", results=tmp_path)
    assert code == 0, output
    load = json.loads((tmp_path / "latest" / "load.json").read_text())
    assert load["workers"] == 3
    # every arrival went to all three, through the gateway
    assert load["requests"]["control"] == load["requests"]["stable"] == load["requests"]["candidate"] > 0
    verdict = json.loads((tmp_path / "latest" / "verdict.json").read_text())
    assert [gate["beyond"] for gate in verdict["control"]] == [False, False]
    assert tomllib.loads((tmp_path / "latest" / "experiment.toml").read_text())["load"]["seed"] == 7


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--gate", "p95 <= stabel + 10%"], 2, "stabel"),
        (["--gate", "accuracy[segment=nobody] >= stable - 1pp"], 2, "no row has segment=nobody"),
        (["--candidate", "v9"], 2, "no version folder"),
        (["--rate", "-5"], 2, "greater than 0"),
        (["--duration", "soon"], 2, "not a duration"),
        (["--experiment", "nosuch"], 2, "no experiment 'nosuch'"),
        (["--backend", "cloud"], 2, "no backend 'cloud'"),
        (["--results", "/dev/null/x"], 2, "choose another --results"),
        (["--nonsense"], 2, "--nonsense"),
        (["--candidate", "image:mine:2"], 2, "'image:mine:2' needs BACKEND=compose"),
        (
            ["--stable-url", DEAD, "--candidate-url", DEAD],
            5,
            f"loadproof: {DEAD}/v2/models/shop: nothing answers",
        ),
    ],
)
def test_wrong_input_is_one_line_and_starts_nothing(tmp_path, arguments, code, says):
    got, output = loadproof(*arguments, results=tmp_path)
    assert got == code, output
    assert says in output
    assert "  | " not in output  # no log: the line says it all


def test_an_evaluation_set_without_its_label(tmp_path, shop):
    rows = pq.read_table(shop / "evaluation.parquet").slice(0, 5)
    pa_csv.write_csv(rows.drop_columns(["bought"]), tmp_path / "rows.csv")
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\n[model]\nname = "shop"\nfolder = "models/shop"\n'
        f'[data]\npath = "{tmp_path}/rows.csv"\n[versions]\nstable = "v1"\ncandidate = "v2"\n'
    )
    code, output = loadproof("--experiment", str(tmp_path / "mine.toml"), results=tmp_path / "results")
    assert code == 2, output
    assert "accuracy needs labels" in output
    assert "no column 'label'; it has " in output


def test_a_broken_model_file_is_named_by_the_server_that_refused_it(tmp_path, quick):
    experiment = quick(own=tiny)
    version = tmp_path / "broken"
    version.mkdir()
    (version / "model.toml").write_text((tmp_path / "tiny" / "v1" / "model.toml").read_text())
    (version / "model.onnx").write_bytes(b"no model")
    options = ["--experiment", experiment, "--candidate", str(version)]
    code, output = loadproof(*options, results=tmp_path / "results")
    assert code == 5, output
    assert "candidate did not start" in output
    assert "model.onnx" in output


def test_ctrl_c_leaves_nothing_behind_and_keeps_what_was_measured(tmp_path, quick):
    words = [
        *COMMAND,
        "--experiment",
        quick(own=tiny),
        "--results",
        str(tmp_path),
        "--candidate",
        "v1",
        "--duration",
        "200s",
    ]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **MARK}
    )
    for line in process.stdout:
        if re.search(r"[1-9]\d* answers", line):
            break
    process.send_signal(2)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "interrupted; what was started is stopped" in errors
    assert "what was measured is kept in" in errors
    assert list(tmp_path.glob(".*.partial/samples.parquet"))
    assert_nothing_left()
