"""The docs stay true: what they name exists, and the other way round."""

import re
import tomllib
from pathlib import Path

import pytest
import typer

from loadtest.cli.main import app
from loadtest.errors import ExitCode
from loadtest.experiment.experiment import Experiment

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z-]*):.*## ", MAKEFILE, re.M))
COMMANDS = typer.main.get_command(app).commands
VERBS = [
    verb for command in COMMANDS.values() for verb in (command, *getattr(command, "commands", {}).values())
]
OPTIONS = {option for verb in VERBS for p in verb.params for option in p.opts}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
class TestPages:
    def test_make_targets_exist(self, page):
        named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", page.read_text(), re.M))
        assert named <= TARGETS

    def test_variables_of_make_exist(self, page):
        given = set(re.findall(r"make [a-z-]+ .*?\b([A-Z_]{3,})=", page.read_text()))
        assert given <= set(re.findall(r"^([A-Z_]+) \?=", MAKEFILE, re.M))

    def test_commands_and_options_exist(self, page):
        calls = re.findall(r"loadproof ([a-z]+)((?: [^`\n]*)?)", page.read_text())
        for command, rest in calls:
            if f"loadproof {command}" in page.read_text() and command in COMMANDS:
                assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= OPTIONS

    def test_links_lead_somewhere(self, page):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), link


CI = [*(ROOT / ".github").rglob("*.yml"), *(ROOT / ".circleci").rglob("*.yml")]


@pytest.mark.parametrize("path", CI, ids=lambda p: p.name)
def test_ci_calls_targets_that_exist_and_nothing_else(path):
    commands = re.findall(r"^ *- run: (?:\{command: )?(.*?)(?:[,}].*)?$", path.read_text(), re.M)
    assert commands
    assert {command.split()[0] for command in commands} == {"make"}
    assert {command.split()[1] for command in commands} <= TARGETS


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages == set(re.findall(r"\]\(([\w-]+\.md)\)", index))


def test_every_target_is_in_the_help_and_declared_phony():
    assert set(re.findall(r"^\.PHONY: ([a-z-]+)$", MAKEFILE, re.M)) == TARGETS


def test_the_table_of_exit_codes_is_whole():
    rows = dict(re.findall(r"^\| (\d) ?([A-Z]*) \|", README, re.M))
    words = {str(int(code)): code.name for code in ExitCode if code < 100}
    assert set(rows) == set(words)
    assert all(rows[number] in ("", words[number]) for number in rows)


def test_the_addresses_are_those_of_compose():
    published = set(re.findall(r"127\.0\.0\.1:\$\{[A-Z]+_PORT:-(\d+)\}", (ROOT / "compose.yaml").read_text()))
    assert set(re.findall(r"http://127\.0\.0\.1:(\d+)", README)) <= published


def test_the_experiment_in_the_readme_is_one():
    (text,) = (t for t in re.findall(r"```toml\n(.*?)```", README, re.S) if "gates" in t)
    indent = re.match(r" *", text)[0]
    experiment = Experiment.parse(tomllib.loads(text.replace(f"\n{indent}", "\n").strip()), "README.md")
    assert [gate.metric for gate in experiment.gates] == ["p95", "p99", "accuracy"]
