"""The recipes in docs/ci.md are valid; GitHub's comment is made once and then kept up to date."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "ci.md").read_text()
WORKFLOW, CIRCLE, GITLAB = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
(BY_CODE,) = re.findall(r"```bash\n(.*?)```", PAGE, re.S)
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


@pytest.mark.parametrize(
    ("text", "schema"),
    [(WORKFLOW, "github-workflows"), (CIRCLE, "circle-ci"), (GITLAB, "gitlab-ci")],
    ids=["github", "circleci", "gitlab"],
)
def test_the_recipes_meet_their_published_schemas(tmp_path, text, schema):
    path = tmp_path / "recipe.yml"
    path.write_text(text)
    check = ["--builtin-schema", f"vendor.{schema}", str(path)]
    if schema == "gitlab-ci":
        check += ["--data-transform", "gitlab-ci"]
    # loads a grammar of URLs for over a second, in every process that collects these tests
    from check_jsonschema import main

    done = CliRunner().invoke(main, check)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (1, 1), (3, 0), (4, 4), (5, 5)])
def test_the_step_that_reads_the_code(tmp_path, code, ends):
    fake = tmp_path / ".venv" / "bin" / "loadproof"
    fake.parent.mkdir(parents=True)
    fake.write_text(f"#!/bin/sh\nexit {code}\n")
    fake.chmod(0o755)
    done = subprocess.run(["bash", "-eu", "-c", BY_CODE], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == ends


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
    loadproof = tmp_path / ".venv" / "bin" / "loadproof"
    loadproof.parent.mkdir(parents=True)
    loadproof.write_text('#!/bin/sh\nprintf "%s\\n" "$*" > "$GITHUB_STEP_SUMMARY"\n')
    loadproof.chmod(0o755)
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
    assert page.read_text() == "publish results/latest --github\n"
