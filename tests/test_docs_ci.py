"""The workflow in docs/ci.md is valid, and its comment is made once and then kept up to date."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
(WORKFLOW,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(), re.S)
(STEP,) = (
    s
    for s in yaml.safe_load(WORKFLOW)["jobs"]["load-test"]["steps"]
    if s.get("name", "").startswith("Comment")
)
SUMMARY = "<!-- loadproof: compare -->\n## ✓ PASS\n"
FAKE_GH = """#!/bin/sh
printf '%s\\n' "$*" >> "$LOG"
case "$*" in *--paginate*) printf '%s' "$FOUND";; esac
"""


def program(name):
    return str(Path(sys.executable).parent / name)


def test_the_workflow_meets_githubs_published_schema(tmp_path):
    path = tmp_path / "load-test.yml"
    path.write_text(WORKFLOW)
    check = [program("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_its_script_is_clean():
    done = subprocess.run(
        [program("shellcheck"), "--shell=bash", "-"],
        input=STEP["run"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("found", "sent"),
    [
        # the first push
        (
            "",
            "api --method POST repos/o/r/issues/7/comments --field body=@results/latest/summary.md",
        ),
        # the next one; of several, the last
        (
            "41\n42\n",
            "api --method PATCH repos/o/r/issues/comments/42 --field body=@results/latest/summary.md",
        ),
        # the lab did not start
        (None, None),
    ],
)
def test_the_comment(tmp_path, found, sent):
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(FAKE_GH)
    gh.chmod(0o755)
    (tmp_path / "results" / "latest").mkdir(parents=True)
    if found is not None:
        (tmp_path / "results" / "latest" / "summary.md").write_text(SUMMARY)
    page, log = tmp_path / "page", tmp_path / "log"
    environment = {
        "PATH": f"{gh.parent}:{os.environ['PATH']}",
        "COMMENTS": "repos/o/r/issues/7/comments",
        "COMMENT": "repos/o/r/issues/comments",
        "GITHUB_STEP_SUMMARY": str(page),
        "LOG": str(log),
        "FOUND": found or "",
    }
    # as GitHub runs it
    subprocess.run(["bash", "-eo", "pipefail", "-c", STEP["run"]], cwd=tmp_path, env=environment, check=True)
    if sent is None:
        assert not log.exists()
        return
    asked, done = log.read_text().splitlines()
    assert 'startswith("<!-- loadproof: compare -->")' in asked
    assert done == f"{sent} --silent"
    assert page.read_text() == SUMMARY
