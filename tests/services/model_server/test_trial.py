"""The trial of a model file in a child: whatever the file does to it is said in a line."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import lightgbm
import numpy as np
import pytest

from services.model_server.cli import main
from services.model_server.errors import VersionError
from services.model_server.runtime import Format
from services.model_server.trial import HarmfulFileError, Limits, in_child

LIMITS = Limits(memory=64 << 20, cpu=30, wall=60)


def unused(*_: object) -> Any:
    raise AssertionError("no test loads by this format")


TRIED = Format("model.x", unused, unused, native=lambda _: ("json",))
PLAIN = Format("model.x", unused, unused)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "model.x").write_bytes(b"x")
    return tmp_path / "model.x"


def raises(error: BaseException) -> Callable[[], NoReturn]:
    def work() -> NoReturn:
        raise error

    return work


def ends_by(signum: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), signum)


def test_what_the_child_returns_is_returned(path: Path) -> None:
    assert in_child(path, TRIED, lambda: {"pid": os.getpid() != parent, "text": "é\n" * 40_000}) == {
        "pid": True,
        "text": "é\n" * 40_000,
    }


parent = os.getpid()


def test_a_package_that_lacks_a_library_of_the_system_is_named(path: Path, monkeypatch: Any) -> None:
    # as LightGBM's is in a slim image
    (path.parent / "lacks_gomp.py").write_text(
        "raise OSError('libgomp.so.1: cannot open shared object file')"
    )
    monkeypatch.syspath_prepend(path.parent)
    lacking = Format("model.x", unused, unused, native=lambda _: ("lacks_gomp",))
    with pytest.raises(VersionError, match=r"model.x: the package lacks_gomp cannot be loaded .*libgomp1"):
        in_child(path, lacking, lambda: None)


def test_a_file_of_another_kind_gets_no_child(path: Path) -> None:
    assert in_child(path, PLAIN, os.getpid) == parent


@pytest.mark.parametrize(
    ("work", "kind", "message"),
    [
        # what a reader says of a broken file stays as it is
        (raises(VersionError("model.x: broken")), VersionError, "model.x: broken"),
        (raises(ZeroDivisionError("of it")), HarmfulFileError, "failed (ZeroDivisionError: of it)"),
        # a library that ends the process by itself
        (raises(SystemExit(3)), HarmfulFileError, "failed (SystemExit: 3)"),
        (lambda: os._exit(3), HarmfulFileError, "ended with exit code 3"),
        (ends_by(signal.SIGSEGV), HarmfulFileError, "was ended by SIGSEGV"),
        (ends_by(signal.SIGABRT), HarmfulFileError, "was ended by SIGABRT"),
        (ends_by(signal.SIGXCPU), HarmfulFileError, "took more than 30 s of CPU time"),
        # what the kernel does where a container's memory runs out
        (ends_by(signal.SIGKILL), HarmfulFileError, "was ended by SIGKILL"),
        (lambda: bytearray(1 << 30) and None, HarmfulFileError, "failed (MemoryError"),
    ],
)
def test_what_ends_the_child_is_one_line(
    path: Path, work: Callable[[], object], kind: type[VersionError], message: str
) -> None:
    with pytest.raises(VersionError) as error:
        in_child(path, TRIED, work, LIMITS)
    assert type(error.value) is kind
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    if kind is HarmfulFileError:
        assert str(error.value).startswith(f"{path}: damaged, or made to do harm")


def test_a_child_that_hangs_is_given_up(path: Path) -> None:
    with pytest.raises(HarmfulFileError, match="was not done after 0 s"):
        in_child(path, TRIED, signal.pause, Limits(memory=64 << 20, cpu=30, wall=0.1))


def test_the_child_is_bounded_and_prints_nothing(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> list[int]:
        os.write(2, b"terminate called\n")
        return [resource.getrlimit(resource.RLIMIT_CPU)[0], resource.getrlimit(resource.RLIMIT_CORE)[1]]

    assert in_child(path, TRIED, work, LIMITS) == [30, 0]
    assert capfd.readouterr().err == ""


def test_the_child_reaches_no_network_where_the_kernel_allows_that(path: Path) -> None:
    flags = ["-n"] if os.getuid() == 0 else ["-Un"]
    try:
        allowed = (
            subprocess.run(["unshare", *flags, "true"], capture_output=True, check=False).returncode == 0
        )
    except FileNotFoundError:
        allowed = False
    names = in_child(path, TRIED, lambda: [name for _, name in socket.if_nameindex()], LIMITS)
    assert names == (["lo"] if allowed else [name for _, name in socket.if_nameindex()])


def test_the_limits_grow_with_the_file(path: Path) -> None:
    small = Limits.of(path)
    with path.open("r+b") as file:
        file.truncate(100 << 20)
    large = Limits.of(path)
    assert large.cpu == small.cpu + 100
    assert large.memory - small.memory == 50 * ((100 << 20) - 1)


def test_a_server_does_not_start_with_a_forged_file(
    tmp_path: Path, save: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1},
        lightgbm.Dataset(rng.normal(size=(60, 4)), rng.integers(2, size=60)),
        num_boost_round=1,
    )
    text = booster.model_to_string()
    # of the same length, so that the sizes of the trees are right
    save(tmp_path, re.sub(r"\nsplit_feature=\d", "\nsplit_feature=9", text).encode(), "model.txt")
    assert main(["--model-dir", str(tmp_path), "--port", str(_free_port())], {}) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        f"model-server: {tmp_path / 'model.txt'}: not readable by LightGBM (ValueError: tree 0: split_feature"
    )
    assert said.count("\n") == 1


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
