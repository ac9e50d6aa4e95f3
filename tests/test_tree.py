"""What stays true of the tree as a whole."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TRACKED = [
    Path(line)
    for line in subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
]
pytestmark = pytest.mark.skipif(not TRACKED, reason="not a git checkout")


def test_files_stay_short():
    limit = {True: 400, False: 310}  # a table of cases may be longer than code
    long = {
        str(path): lines
        for path in TRACKED
        if path.suffix == ".py"
        and (lines := len((ROOT / path).read_text().splitlines())) > limit[path.parts[0] == "tests"]
    }
    assert not long


def test_names_say_something():
    assert not [p for p in TRACKED if p.stem.removesuffix("s") in {"util", "common", "helper", "misc"}]


def test_tests_mirror_the_source():
    for folder in ("loadtest", "services"):
        assert (ROOT / "tests" / folder).is_dir()


@pytest.mark.parametrize("name", ["README.md", "LICENSE", "Makefile", "compose.yaml", "pyproject.toml"])
def test_the_top_level_has(name):
    assert (ROOT / name).is_file()
