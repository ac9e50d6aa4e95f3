"""Imports run one way; every other arrow is an error. CONTRIBUTING.md has the same table by folder."""

import ast
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SIDES = {
    "contract": {"loadtest", "services"},
    "loadtest": {"services"},
    "services": {"loadtest"},
}
"""What each side of the wire must not import."""

BELOW = {"data", "experiment", "stats", "errors"}
"""What every room above them may import."""
ARROWS = {
    "errors": set(),
    "fetch": set(),
    "colours": set(),
    "experiment": {"stats", "errors"},
    "data": {"experiment", "stats", "errors"},
    "stats": set(),
    "judge": BELOW,
    "capacity": {"judge", *BELOW},
    "canary": BELOW,
    "report": {"judge", "capacity", "canary", "colours", *BELOW},
    "publish": {"judge", "canary", *BELOW},
    "workflows": {"judge", "capacity", "canary", "report", *BELOW}
    | {
        "lab.cpu_usage",
        "lab.interface",
        "lab.own_runtime",
        "lab.gateway",
        "lab.services",
        "lab.select",
        "lab.service_answers",
        "lab.service_protocols",
        "lab.processes",
        "fetch",
    },
    "cli": {
        "workflows",
        "report",
        "publish",
        "canary",
        "judge",
        "lab.leftovers",
        "lab.registry",
        "lab.remote_workers",
        "lab.select",
        "lab.gateway",
        "lab.services",
        "fetch",
        *BELOW,
    },
    # a rollback goes past the command's libraries
    "__main__": {"cli", "data", "errors"},
    # the load generator, a process of its own
    "load.settings": {"errors"},
    "load.protocols": BELOW,
    "load.sending": {"load.protocols", *BELOW},
    "load.baseline": {"load.sending", "load.protocols", *BELOW},
    "load.live": {"colours", *BELOW},
    "load.cluster": {"load.settings", "load.baseline", "load.sending", "load.protocols", "load.live", *BELOW},
    "load.web": {"load.settings", "load.cluster", "load.live", "colours", "fetch", *BELOW},
    "load.headless": {"load.settings", "load.cluster", "load.protocols", "load.sending", *BELOW},
    "load.worker_process": set(),
    "load.locustfile": {"load.web", "load.cluster", "load.sending", "data"},
    "load.__main__": {"load.headless", "load.cluster", "data", "errors"},
    # the lab: what every backend needs, the backends, and what chooses among them
    "lab.interface": {"lab.cpu_usage", "lab.remote_workers", "canary", *BELOW},
    "lab.remote_workers": {"errors"},
    "lab.cpu_usage": set(),
    "lab.free_ports": set(),
    "lab.interrupts": set(),
    "lab.own_runtime": {"errors"},
    "lab.leftovers": set(),
    "lab.services": {"lab.interface", "canary", "fetch", *BELOW},
    "lab.gateway": {"canary", "fetch", *BELOW},
    "lab.processes": {"lab.*"},
    "lab.local": {"lab.*", "lab.processes"},
    "lab.compose": {"lab.*"},
    # its load generator is a process on this machine
    "lab.external": {"lab.*", "lab.processes", "load.protocols"},
    # a service of somebody else, before there is a lab
    "lab.service_answers": {"load.protocols", "fetch", *BELOW},
    "lab.service_protocols": {"load.protocols", "fetch", *BELOW},
    "lab.registry": {"lab.*", "lab.compose"},
    # the backends by the folders that they are
    "lab.select": {"lab.interface", "lab.leftovers", "lab.remote_workers", *BELOW},
}
"""What the modules of a room may import of ``loadtest``; a room is a folder, or a module outside of one."""
LAB = {
    *("lab.interface", "lab.free_ports", "lab.interrupts", "lab.own_runtime", "lab.services", "lab.gateway"),
    *("lab.leftovers", "lab.cpu_usage", "lab.remote_workers"),
    *("canary", "fetch", *BELOW),
}
"""``lab.*``: what every backend may import."""
LOCUST = {
    *("headless", "locustfile", "worker_process", "web.locust_ui", "cluster.wiring"),  # the ways to start it
    *("cluster.coordinator", "cluster.worker", "cluster.locust_messages"),  # what Locust calls
    *("sending.driver", "sending.user_traffic"),
    *("sending.http_client", "sending.timer"),  # gevent's sockets and timers
}
"""The modules of ``load`` that may import locust, which patches the interpreter."""


@cache
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


def dotted(path: Path) -> str:
    """``load.sending.timer`` of loadtest/load/sending/timer.py."""
    return ".".join(path.relative_to(ROOT / "loadtest").with_suffix("").parts)


def room(module: str) -> str:
    """The room of a module of ``loadtest``, or of a name in one; '' for the package itself."""
    parts = module.split(".")
    depth = 2 if parts[0] in {"load", "lab"} else 1
    return ".".join(parts[:depth]) if len(parts) >= depth else ""


MODULES = [path for path in sorted((ROOT / "loadtest").rglob("*.py")) if path.name != "__init__.py"]


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_run_one_way(path):
    here = room(dotted(path))
    reached = {room(name.removeprefix("loadtest.")) for name in imports(path) if name.startswith("loadtest.")}
    may = ARROWS[here] | (LAB if "lab.*" in ARROWS[here] else set())
    assert reached - {here, "", "__version__"} <= may


def test_the_table_has_no_row_for_what_is_gone():
    assert set(ARROWS) == {room(dotted(path)) for path in MODULES}
    assert {f"load.{name}" for name in LOCUST} <= {dotted(path) for path in MODULES}


PRODUCT = [
    path
    for side in ("contract", "loadtest", "services", "deploy", "grafana")
    for path in sorted((ROOT / side).rglob("*.py"))
]
NAMED = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in PRODUCT
    # a package's own file hands names on
    if path.name != "__init__.py"
}


def test_no_modules_import_each_other():
    TopologicalSorter({name: imports(path) & set(NAMED) for name, path in NAMED.items()}).prepare()


SMALL = 50
"""Lines."""


def test_a_small_module_has_several_users_or_is_one_of_its_kind():
    # a command is a module each; what nobody imports is started by its name, or found in its folder
    users = Counter(name for path in PRODUCT for name in imports(path) & set(NAMED))
    small = {
        name
        for name, path in NAMED.items()
        if len(path.read_text().splitlines()) < SMALL and users[name] == 1
    }
    assert {name for name in small if not name.startswith("loadtest.cli.")} == set()


def by_folder():
    """The table as CONTRIBUTING has it: what each folder may import of the others."""
    table = {}
    for here, arrows in ARROWS.items():
        reached = {one.split(".")[0] for one in arrows | (LAB if "lab.*" in arrows else set())}
        folder = here.split(".")[0]
        table[folder] = table.get(folder, set()) | reached - {folder}
    del table["__main__"]  # starts the command
    return table


def test_contributing_has_the_same_table():
    text = (ROOT / "CONTRIBUTING.md").read_text().split("| part of `loadtest` | may import |\n|---|---|\n")[1]
    stated = {}
    for line in text.split("\n\n")[0].splitlines():
        _, parts, reached, _ = line.split("|")
        for part in re.findall(r"`(\w+)`", parts):
            stated[part] = set(re.findall(r"`(\w+)`", reached)) - {"loadtest"}
    assert stated == by_folder()


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_only_the_generator_itself_imports_locust(path):
    patches = "locust" in {name.split(".")[0] for name in imports(path)}
    assert not patches or dotted(path).removeprefix("load.") in LOCUST


@pytest.mark.parametrize("side", SIDES)
def test_the_sides_of_the_wire_never_import_each_other(side):
    paths = sorted((ROOT / side).rglob("*.py"))
    assert paths
    for path in paths:
        assert not SIDES[side] & {name.split(".")[0] for name in imports(path)}, path


IO = {"time", "os", "pathlib", "subprocess", "socket", "requests"}
PURE = ["stats", "judge", "capacity", "canary"]


@pytest.mark.parametrize("pure", PURE)
def test_what_decides_does_no_io_and_knows_no_clock(pure):
    for path in sorted((ROOT / "loadtest" / pure).rglob("*.py")):
        assert not {name.split(".")[0] for name in imports(path)} & IO, path
        # the canary's state holds times; nothing here asks for the present one
        nodes = ast.walk(ast.parse(path.read_text()))
        asked = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
        assert not asked & {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}, path


def test_a_command_starts_without_what_few_of_them_need():
    slow = {"scipy.optimize", "scipy.special", "scipy.stats", "sklearn", "pandas", "locust"}
    program = f"import sys, loadtest.cli.main; print(*sorted({slow!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_reaper_starts_without_what_only_a_lab_needs():
    slow = {"numpy", "pydantic"}
    program = f"import sys, loadtest.lab.processes.reaper; print(*{slow!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
