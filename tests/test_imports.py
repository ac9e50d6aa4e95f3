"""Imports run one way; every other arrow is an error. The picture is in CONTRIBUTING.md."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ARROWS = {
    "errors": set(),
    "colours": set(),
    "exposition": set(),
    "scorers": set(),
    "gates": {"errors", "scorers"},
    "quantities": set(),
    "target": {"errors"},
    "parts": {"gates", "quantities"},
    "config": {"errors", "gates", "parts", "target"},
    "sample": {"errors"},
    "sample_lines": {"sample", "errors"},
    "dataset": {"config", "errors"},
    "faithfulness": {"dataset"},
    "run_folder": {"errors"},
    "stats": set(),
    "judge": {"stats", "config", "gates", "scorers", "sample", "dataset", "errors"},
    "load": {
        *("target", "colours", "config", "sample", "sample_lines", "dataset", "faithfulness", "run_folder"),
        *("exposition", "errors"),
    },
    "capacity": {"judge", "gates", "errors"},
    "canary": {"stats", "config", "gates", "sample", "errors"},
    "lab": {"target", "canary", "config", "exposition", "errors"},
    "report": {"canary", "capacity", "colours", "judge", "stats", "config", "sample", "errors"},
    "flows": {
        *("judge", "lab", "canary", "capacity", "report"),
        *("config", "sample", "sample_lines", "dataset", "faithfulness", "run_folder", "errors"),
    },
    "commands": {"flows", "report", "lab", "canary", "config", "errors"},
    "cli": {"commands", "errors"},
    # a rollback goes past the command's libraries
    "__main__": {"cli", "commands"},
}
LOCUST = {
    *("locustfile", "headless", "pages", "wiring"),  # the ways to start it
    *("users", "unpinned", "shapes", "worker", "coordinator"),  # what Locust calls
    *("client", "alarm"),  # gevent's sockets and timers
}
"""The modules of ``load`` that may import locust, which patches the interpreter."""


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def part(path: Path) -> str:
    return path.relative_to(ROOT / "loadtest").parts[0].removesuffix(".py")


MODULES = [path for path in sorted((ROOT / "loadtest").rglob("*.py")) if part(path) != "__init__"]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_one_way(path):
    here = part(path)
    reached = {
        name.split(".")[1] for name in imports(path) if name.startswith("loadtest.") and name.count(".")
    }
    assert reached - {here, "__version__"} <= ARROWS[here]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_generator_itself_imports_locust(path):
    patches = "locust" in {name.split(".")[0] for name in imports(path)}
    assert not patches or (part(path) == "load" and path.stem in LOCUST)


@pytest.mark.parametrize("side", ["services", "loadtest"])
def test_services_and_load_side_never_import_each_other(side):
    other = {"services": "loadtest", "loadtest": "services"}[side]
    paths = sorted((ROOT / side).rglob("*.py"))
    assert paths
    for path in paths:
        assert other not in {name.split(".")[0] for name in imports(path)}, path


IO = {"time", "datetime", "os", "pathlib", "subprocess", "socket", "requests"}


@pytest.mark.parametrize("pure", ["stats", "judge", "capacity"])
def test_stats_and_judge_do_no_io_and_know_no_clock(pure):
    for path in sorted((ROOT / "loadtest" / pure).rglob("*.py")):
        modules = {name.split(".")[0] for name in imports(path)}
        assert not modules & IO, path


def test_the_canarys_decision_does_no_io_and_knows_no_clock():
    for name in (
        "decision",
        "event",
        "evidence",
        "shares",
        "tails",
        "windows",
        "bursts",
        "looks",
        "counters",
    ):
        path = ROOT / "loadtest" / "canary" / f"{name}.py"
        assert not {name.split(".")[0] for name in imports(path)} & IO, path
