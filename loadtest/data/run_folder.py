"""The run folder: everything about one run, whole or absent.

A run is measured and judged in ``results/.<name>.partial`` and renamed to ``results/<name>`` when every
file is written; ``results/latest`` then points at it. A run that breaks on the way leaves its partial
folder behind if it holds samples, and the error says where. The command holds a lock on the folder as long as
it lives, so that the next one can tell a folder whose command was killed before it measured anything.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from loadtest.errors import LabError, LoadproofError, UsageError

SAMPLES = "samples.parquet"
STREAM = "samples.stream"
RESERVE = "samples.reserve"
"""While a run lasts; see ``loadtest.data.sample_stream``."""
LOAD = "load.json"
EXPERIMENT = "experiment.toml"
ENVIRONMENT = "environment.json"
VERDICT = "verdict.json"
RATES = "rates.json"
LOAD_LOG = "load.log"
_BEFORE_SAMPLES = frozenset((EXPERIMENT, ENVIRONMENT, LOAD_LOG, RESERVE, STREAM))

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_logger = logging.getLogger(__name__)


def run_name(experiment: str, began: datetime) -> str:
    """The name of a run: the UTC time at which it began, and its experiment."""
    return f"{began.astimezone(UTC).strftime('%Y%m%dT%H%M%SZ')}-{experiment}"


class RunFolder:
    """A run folder while it is made: ``with RunFolder(results, "compare", now) as folder: ...``.

    ``results`` is made where it is missing. The UTC time of ``now`` names the folder.

    Raises:
        UsageError: the results folder cannot be written.
    """

    def __init__(self, results: Path, experiment: str, now: datetime | None = None) -> None:
        name = self.name = run_name(experiment, now or datetime.now(UTC))
        self.results = results.absolute()
        self._lock: int | None = None
        try:
            self.results.mkdir(parents=True, exist_ok=True)
            remove_abandoned(self.results)
            serial = 1
            while not self._take():
                serial += 1
                self.name = f"{name}-{serial}"
        except OSError as error:
            raise UsageError(
                f"{results}: cannot write the run there ({error.strerror}); choose another --results"
            ) from error

    def _take(self) -> bool:
        """Make the folder, unless a run has its name; another process may take it at this moment."""
        if self.final.exists():
            return False
        try:
            self.path.mkdir()
        except FileExistsError:
            return False
        try:
            self._lock = _locked(self.path)
        except (BlockingIOError, FileNotFoundError):  # another command takes it for abandoned at this moment
            return False
        if not self.final.exists() and self.path.exists():
            return True
        with contextlib.suppress(FileNotFoundError):
            self.path.rmdir()  # the other run was whole in between
        self._unlock()
        return False

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def path(self) -> Path:
        """The folder while the run is made."""
        return self.results / f".{self.name}.partial"

    @property
    def final(self) -> Path:
        """The folder once the run is whole."""
        return self.results / self.name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._clear(error)
        finally:
            # until here nobody may take it for abandoned
            self._unlock()

    def _clear(self, error: BaseException | None) -> None:
        """Remove what only the run needed, and all of a run that broke before it measured anything."""
        for reserve in self.path.rglob(RESERVE):
            reserve.unlink(missing_ok=True)
        if error is None or not self.path.exists():
            return
        # a run of several restarts has them deeper, until each is joined to the others
        measured = any(_holds_answers(folder) for folder in (self.path, *self.path.rglob("*/")))
        if measured:
            error.add_note(f"what was measured is kept in {self.path}")
        else:
            shutil.rmtree(self.path, ignore_errors=True)

    def write(self, name: str, content: str | dict[str, Any]) -> None:
        """Write one file of the run; see ``write_file``."""
        write_file(self.path, name, content)

    def publish(self, say: Callable[[str], None] = _logger.warning) -> Path:
        """Rename the whole folder to its final name and point ``latest`` at it.

        A ``latest`` that cannot be pointed anywhere costs one line, which ``say`` takes, never the run.
        """
        self.path.rename(self.final)
        latest, link = self.results / "latest", self.results / f".latest-{os.getpid()}"
        why = None
        if os.path.lexists(latest) and not latest.is_symlink():
            # a rename would silently replace a file, which is somebody's
            why = f"is no link but a {'folder' if latest.is_dir() else 'file'}; move it away"
        else:
            try:
                link.unlink(missing_ok=True)
                link.symlink_to(self.name)
                link.replace(latest)
            except OSError as error:
                link.unlink(missing_ok=True)
                why = f"cannot be made ({error.strerror})"
        if why is not None:
            say(f"{latest} does not point at this run: it {why}; the run is in {self.final}")
        return self.final


def require_writable(results: Path) -> None:
    """Refuse a results folder whose nearest folder that exists takes no new ones; leaves nothing there.

    Raises:
        UsageError: it does not; says why.
    """
    nearest = next(path for path in (results, *results.absolute().parents) if path.exists())
    if not nearest.is_dir():
        why = f"{nearest} is no folder"
    else:
        try:
            # permissions alone do not say it: of root, or of /proc, which takes no folder from anybody
            Path(tempfile.mkdtemp(prefix=".", dir=nearest)).rmdir()
            return
        except OSError as error:
            why = str(error.strerror)
    raise UsageError(f"{results}: cannot write the run there ({why}); choose another --results")


def remove_abandoned(results: Path, say: Callable[[str], None] = _logger.warning) -> None:
    """Remove the folders of commands that were killed before they measured anything."""
    for path in sorted(results.glob(".*.partial")):
        try:
            lock = _locked(path)
        except OSError:  # its command lives
            continue
        if lock is None:
            continue
        with contextlib.ExitStack() as held:
            held.callback(os.close, lock)
            held.enter_context(contextlib.suppress(FileNotFoundError))  # another command was faster
            if {one.name for one in path.iterdir()} <= _BEFORE_SAMPLES and not holds_samples(path):
                shutil.rmtree(path, ignore_errors=True)
                say(f"a command was killed before it measured anything; removed its folder {path}")


def _locked(folder: Path) -> int | None:
    """The lock of a folder, until it is closed or the process ends; None: its file system has none.

    Raises:
        BlockingIOError: another process has it, or another folder has its name by now.
        FileNotFoundError: it is gone.
    """
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(file), folder.stat()):
            raise BlockingIOError
    except (BlockingIOError, FileNotFoundError):
        os.close(file)
        raise
    except OSError:
        os.close(file)
        return None
    return file


def write_file(
    folder: Path, name: str, content: str | dict[str, Any], again: str = "run `loadproof judge`"
) -> None:
    """Write one file of a run, whole or not at all; a dict becomes JSON.

    Raises:
        LabError: the disk is full; what was there before still is. The remedy ends with ``again``.
        LoadproofError: the folder cannot be written; the same holds.
    """
    text = content if isinstance(content, str) else json.dumps(content, indent=2, allow_nan=False) + "\n"
    path = Path(os.path.realpath(folder / name))
    whole = path.is_file() or not path.exists()  # a pipe or a terminal is written to, and never replaced
    partial = path.with_name(f"{path.name}.partial") if whole else path
    try:
        partial.write_text(text, encoding="utf-8")
        if whole:
            partial.replace(path)
    except OSError as error:
        if whole:
            with contextlib.suppress(OSError):
                partial.unlink()
        place = f"{folder / name}: {error.strerror}"
        if error.errno in _FULL:
            raise LabError(f"{place}; make room, then {again}") from error
        raise LoadproofError(f"{place}; make it writable, then {again}") from error


def holds_samples(folder: Path) -> bool:
    """Whether something that was measured lies in a folder, of a run that is over or was cut off."""
    # a stream is empty until the first samples come
    return (folder / SAMPLES).is_file() or (
        (folder / STREAM).is_file() and (folder / STREAM).stat().st_size > 0
    )


def _holds_answers(folder: Path) -> bool:
    """``holds_samples``, unless what the generator left at its end is without a single one."""
    if (folder / STREAM).is_file() or not holds_samples(folder):
        return holds_samples(folder)
    # only where a run broke: the other commands do not wait for the library
    import pyarrow.parquet as pq

    try:
        return bool(pq.read_metadata(folder / SAMPLES).num_rows)
    except (OSError, ValueError):  # torn, which is for whoever reads it to say
        return True


def find_run(run: Path) -> Path:
    """The folder of a stored run.

    Raises:
        UsageError: it is no run folder.
    """
    folder = Path(os.path.realpath(run))  # of a link to itself resolve() makes an error of its own
    if not holds_samples(folder):
        # what was cut off only where nothing else is there
        parts = sorted(folder.glob("*/"), key=lambda part: (part.name.startswith("."), part.name))
        one = next((part for part in parts if holds_samples(part)), None)
        if one is not None:
            raise UsageError(f"{run}: holds several runs; name one of them, such as {run / one.name}")
    if not holds_samples(folder) or not (folder / EXPERIMENT).is_file():
        raise UsageError(f"{run}: no run folder ({SAMPLES} and {EXPERIMENT} must be there); see results/")
    return folder
