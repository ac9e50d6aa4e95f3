"""Environments of versions with packages of their own; a double of uv notes what it is asked for."""

import sys
from pathlib import Path

import pytest

from loadtest.errors import ModelError
from loadtest.lab.local.environments import environment_python
from loadtest.lab.own_runtime import OwnRuntime

RUNTIME = OwnRuntime(("scikit-learn==1.5.2",), ("scikit-learn==1.5.2", "numpy"))


@pytest.fixture
def uv(tmp_path):
    program = tmp_path / "uv"

    def write(script=""):
        program.write_text(
            f"#!{sys.executable}\nimport sys\nfrom pathlib import Path\n"
            f"asked = Path({str(tmp_path / 'asked')!r})\n"
            "if 'pip' in sys.argv:\n"
            "    asked.open('a').write(Path(sys.argv[-1]).read_text() + '|')\n"
            f"    {script or 'pass'}\n"
            "else:\n    Path(sys.argv[-1], 'bin').mkdir(parents=True)\n"
        )
        program.chmod(0o755)
        return str(program)

    return write


def test_an_environment_is_made_once(tmp_path, uv):
    said = []
    for _ in range(2):
        environment_python(RUNTIME, Path("models/m/v1"), said.append, tmp_path / "kept", uv())
    assert (tmp_path / "asked").read_text() == "scikit-learn==1.5.2\nnumpy|"
    assert said == ["v1: installing its requirements.txt into an environment of its own (once)"]


HERE = ".".join(map(str, sys.version_info[:2]))
SETUP = "rm -rf .venv && make install PYTHON=python3.12"
NEWER = (
    "the current Python version (3.11.7) does not\n  satisfy Python>=3.12 and x==3 depends on Python>=3.12"
)


@pytest.mark.parametrize(
    ("said", "line", "remedy"),
    [
        (
            "  * No solution:\n  - numpy==99 does not exist",
            "* No solution: - numpy==99 does not exist",
            "correct it, and leave out what the model does not need",
        ),
        # a release for newer Pythons alone, such as xgboost-cpu 3.4.1
        (
            NEWER,
            " ".join(NEWER.split()),
            f"name a release for Python {HERE}, or set Loadproof up on 3.12: {SETUP}",
        ),
    ],
)
def test_one_that_failed_is_tried_again_and_its_reason_is_one_line(tmp_path, uv, said, line, remedy):
    failing = uv(f"print({said!r}, file=sys.stderr); sys.exit(1)")
    with pytest.raises(ModelError) as caught:
        environment_python(RUNTIME, Path("models/m/v1"), [].append, tmp_path / "kept", failing)
    assert str(caught.value) == f"models/m/v1/requirements.txt: cannot be installed: {line}; {remedy}"
    environment_python(RUNTIME, Path("models/m/v1"), [].append, tmp_path / "kept", uv())
    assert (tmp_path / "asked").read_text().count("|") == 2
