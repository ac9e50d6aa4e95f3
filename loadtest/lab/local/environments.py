"""Environments of versions with packages of their own, made by uv and kept by what they hold."""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from contract.version_folder import REQUIREMENTS, requirements_file
from loadtest.errors import ModelError, StartError
from loadtest.lab.own_runtime import OwnRuntime

FOLDER = Path(__file__).parents[3] / ".cache" / "environments"

_INSTALL = ("pip", "install", "--quiet", "--only-binary", ":all:")
_SECONDS = 1200.0


def environment_python(
    runtime: OwnRuntime,
    version: Path,
    say: Callable[[str], None],
    folder: Path = FOLDER,
    uv: str | None = None,
) -> Path:
    """The interpreter of the environment that holds a version's packages; it is made where it is missing.

    Only wheels are installed: a package that must be built would run its code here.

    ``version`` is the folder that messages name, ``folder`` that of all environments. ``uv`` None: the
    program of this environment, or on the PATH.

    Raises:
        ModelError: its packages cannot be had together, or not as wheels for this Python.
        StartError: there is no uv.
    """
    home = folder / f"{runtime.digest}-py{sys.version_info.major}{sys.version_info.minor}"
    python = home / "bin" / "python"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{home.name}.lock").open("w") as lock:
        # two labs that need the same packages: the second waits, and finds them
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            say(f"{version.name}: installing its {REQUIREMENTS} into an environment of its own (once)")
            shutil.rmtree(home, ignore_errors=True)
            _make(home, python, runtime, version, uv or _find_uv())
            (home / "complete").touch()
    return python


def _make(home: Path, python: Path, runtime: OwnRuntime, version: Path, uv: str) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as listed:
        listed.write("\n".join(runtime.packages))
        listed.flush()
        for command in (
            [uv, "venv", "--quiet", "--python", sys.executable, str(home)],
            [uv, *_INSTALL, "--python", str(python), "-r", listed.name],
        ):
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, check=False, timeout=_SECONDS, cwd=home.parent
                )
            except subprocess.TimeoutExpired:
                raise StartError(
                    f"{requirements_file(version)}: not installed within {_SECONDS:g} s"
                ) from None
            if done.returncode:
                said = _one_line(done.stderr)
                raise ModelError(
                    f"{requirements_file(version)}: cannot be installed: {said[:500]}; {_remedy(said)}"
                )


def _one_line(said: str) -> str:
    """What uv says without its drawing; the package and the version are in it."""
    words = re.sub(r"[^\x20-\x7e]+", " ", said).split()
    return " ".join(words).removeprefix("error: ") or "uv said nothing"


def _remedy(said: str) -> str:
    newer = re.search(r"does not satisfy Python>=(3\.\d+)", said)
    if newer is None:
        return "correct it, and leave out what the model does not need"
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    return (
        f"name a release for Python {here}, or set Loadproof up on {newer[1]}: rm -rf .venv && make install "
        f"PYTHON=python{newer[1]}"
    )


def _find_uv() -> str:
    for found in (Path(sys.executable).with_name("uv"), shutil.which("uv")):
        if found and Path(found).exists():
            return str(found)
    raise StartError(f"a version with a {REQUIREMENTS} needs uv; run pip install uv")
