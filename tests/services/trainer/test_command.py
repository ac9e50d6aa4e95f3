"""The command: folders are whole or absent, made once, and bad input gets one line."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from services.trainer.__main__ import main
from services.trainer.publish import staging

COMMAND = [sys.executable, "-m", "services.trainer"]


@pytest.fixture
def copy(models: Path, tmp_path: Path) -> Path:
    """A whole digits folder that a test may change."""
    return Path(shutil.copytree(models / "digits", tmp_path / "digits"))


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_whole_folder_is_left_alone(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(copy)
    assert main(["digits", "--out", str(copy)]) == 0
    assert snapshot(copy) == before
    assert capsys.readouterr().out == f"{copy}: complete, nothing to train\n"


def test_force_replaces_the_folder_and_leaves_nothing_beside_it(copy: Path) -> None:
    (copy / "v1" / "model.skops").unlink()
    assert main(["digits", "--out", str(copy), "--seed", "2", "--force"]) == 0
    assert (copy / "v1" / "model.skops").is_file()
    assert [path.name for path in copy.parent.iterdir()] == ["digits"]
    assert main(["digits", "--out", str(copy), "--seed", "2"]) == 0


def test_a_folder_from_before_a_version_existed_is_completed(copy: Path) -> None:
    shutil.rmtree(copy / "v2")
    assert main(["digits", "--out", str(copy)]) == 0
    assert (copy / "v2" / "model.skops").is_file()


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    assert main(["digits", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "v2" / "model.toml").is_file()


def test_a_run_that_fails_half_way_keeps_what_was_there(copy: Path) -> None:
    before = snapshot(copy)
    with contextlib.suppress(ZeroDivisionError), staging(copy) as folder:
        (folder / "evaluation.parquet").touch()
        raise ZeroDivisionError
    assert snapshot(copy) == before
    assert list(copy.parent.iterdir()) == [copy]


def test_containers_may_read_what_is_written(tmp_path: Path) -> None:
    strict = os.umask(0o077)
    try:
        with staging(tmp_path / "shop") as folder:
            (folder / "v1").mkdir()
            (folder / "v1" / "model.skops").touch()
    finally:
        os.umask(strict)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.rglob("*")}
    assert modes == {"shop": "0o755", "v1": "0o755", "model.skops": "0o644"}


@pytest.mark.parametrize(
    ("stop", "leftovers"),
    [
        (signal.SIGTERM, 0),  # asked to stop: it cleans up
        (signal.SIGINT, 0),
        (signal.SIGKILL, 1),  # killed: what it wrote so far stays, under a hidden name
    ],
)
def test_a_stopped_run_leaves_nothing_under_the_final_name(
    tmp_path: Path, stop: signal.Signals, leftovers: int
) -> None:
    out = tmp_path / "shop"
    with subprocess.Popen(
        [*COMMAND, "shop", "--out", str(out)], stderr=subprocess.PIPE, text=True
    ) as trainer:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".shop-*/new")):
            assert trainer.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        trainer.send_signal(stop)
        _, said = trainer.communicate(timeout=60)
    assert trainer.returncode != 0
    assert "Traceback" not in said
    assert not out.exists()
    assert len(list(tmp_path.iterdir())) == leftovers


def test_a_full_disk_gets_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    limited = f"ulimit -f 16; exec {' '.join(COMMAND)} digits --out {tmp_path}/digits"  # 8 or 16 kB a file
    # or Python cuts the byte code of what it imports first short, and no later process can import that
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(["sh", "-c", limited], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 2
    assert done.stderr.startswith(f"trainer: {tmp_path}/digits: cannot be written (")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        # an unknown demo
        (["books", "--out", "{tmp}/x"], "invalid choice: 'books' (choose from"),
        # no place to write to
        (["shop"], "the following arguments are required: --out"),
        # no seed
        (["shop", "--out", "{tmp}/x", "--seed", "-1"], "'-1' is not a whole number from 0 to 4294967295"),
        (["shop", "--out", "{tmp}/x", "--seed", "4294967296"], "is not a whole number from 0 to"),
        # a file where a folder should be, and one on the way
        (["shop", "--out", "{tmp}/file"], "{tmp}/file: is not a folder; choose another --out"),
        (["shop", "--out", "{tmp}/file/shop"], "{tmp}/file: is not a folder; choose another --out"),
        # a folder that holds something else, forced or not
        (["shop", "--out", "{tmp}", "--force"], "{tmp}: also holds digits, file; move that away"),
        (["shop", "--out", "{tmp}"], "{tmp}: also holds digits, file; move that away"),
        # a whole folder of another seed
        (["digits", "--out", "{tmp}/digits", "--seed", "7"], "was trained with seed 1; --force replaces it"),
    ],
)
def test_bad_input_gets_one_line(
    copy: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    tmp = copy.parent
    (tmp / "file").touch()
    before = snapshot(tmp)
    try:
        code = main([argument.format(tmp=tmp) for argument in arguments])
    except SystemExit as stop:
        code = stop.code  # type: ignore[assignment]
    said = capsys.readouterr().err
    assert code == 2
    assert message.format(tmp=tmp) in said
    assert said.count("\n") == 1
    assert snapshot(tmp) == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        # a file is gone
        (lambda out: (out / "v2" / "model.toml").unlink(), "incomplete, lacks v2/model.toml; --force"),
        # an evaluation set of somebody else
        (
            lambda out: (out / "evaluation.parquet").write_text("a,b\n"),
            "evaluation.parquet was not written by the",
        ),
    ],
)
def test_a_damaged_folder_gets_one_line(
    copy: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], object], message: str
) -> None:
    damage(copy)
    assert main(["digits", "--out", str(copy)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
