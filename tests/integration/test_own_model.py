"""docs/bring-your-own-model.md, done to the letter in an empty folder; only the loads are shorter."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "bring-your-own-model.md").read_text()
_, SKOPS, ONNX, *_ = re.split(r"^## ", PAGE, flags=re.M)
PROGRAM = re.compile(r"`(\w+\.py)`:\n\n```python\n(.*?)```", re.S)
LINES = re.compile(r"```sh\n(.*?)```", re.S)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def typed(line, folder):
    """One line as a person types it, with Loadproof's environment active."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-eu", "-c", line],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("section", "name", "said"),
    [(SKOPS, "digits", "right on 9"), (ONNX, "diabetes", "off by ")],
    ids=["skops", "onnx"],
)
def test_from_a_folder_to_a_verdict(tmp_path, section, name, said):
    for file, text in PROGRAM.findall(section):
        (tmp_path / file).write_text(text)
    *before, compare = (line for block in LINES.findall(section) for line in block.splitlines())
    output = ""
    for line in before:
        code, output = typed(line, tmp_path)
        assert code == 0, output
    assert output.count(said) == 2
    if section is SKOPS:
        assert output in section, "the page shows what was said"
    experiment = tmp_path / f"{name}.toml"
    # short, on a machine that may be busy: late and slow
    quick = ['duration = "3s"', 'warmup = "1s"', 'max_lag = "5s"', 'timeout = "20s"']
    text = experiment.read_text()
    assert 'duration = "60s"' in text
    experiment.write_text(text.replace('duration = "60s"', "\n".join(quick)))

    code, output = typed(compare, tmp_path)

    assert code in (0, 1, 3), output
    assert re.search(r"(PASS|FAIL|INCONCLUSIVE).*\(exit code \d\)$", output.strip().splitlines()[-1])
    verdict = json.loads((tmp_path / "results" / "latest" / "verdict.json").read_text())
    for version in verdict["versions"].values():
        assert version["requests"] > 100
        assert (version["errors"], version["mismatches"]) == (0, 0)
