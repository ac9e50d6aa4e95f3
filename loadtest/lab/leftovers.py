"""What a killed command left running: every lab is noted in a file, locked as long as its command lives.

The kernel lets go of the lock however the command ends. A note that nobody holds is of a lab whose command
was killed before it could clean up; whoever finds it first, locks it and removes what it names.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

MARK = "LOADPROOF_LAB"
"""The variable by which the processes of a local lab are known: the name of its note."""


_FOLDER = "loadproof-"


class Dead(NamedTuple):
    """A lab whose command is gone: the name of its note, and what it noted."""

    name: str
    facts: dict[str, str]


class LabNote:
    """The note of a lab that is about to start: ``LabNote(backend="compose", project="loadproof-1a2b")``.

    Where no note can be made, there is none: it is a lab's last resort, and no reason not to start it.
    """

    def __init__(self, notes: Path | None = None, **facts: str) -> None:
        self._path: Path | None = None
        try:
            notes = _own(notes)
            # locked before it has its name: nobody may find it unlocked
            file, path = tempfile.mkstemp(prefix=".new-", dir=notes)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(file, json.dumps(facts).encode())
            self._file = file
            self._path = Path(path).rename(notes / f"{Path(path).name.removeprefix('.new-')}.json")
        except OSError:
            return

    @property
    def name(self) -> str:
        """What it is called."""
        return self._path.stem if self._path else ""

    def close(self) -> None:
        """Everything is removed; idempotent."""
        if self._path:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._path = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def new_folder() -> Path:
    """Where a temporary folder may be made: its name is noted before it is there."""
    return Path(tempfile.gettempdir()) / f"{_FOLDER}{secrets.token_hex(8)}"


@contextmanager
def temporary_folder(notes: Path | None = None) -> Iterator[Path]:
    """A folder that goes with the block, or with the next command, if this one is killed."""
    folder = new_folder()
    with LabNote(notes, folder=str(folder)):
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_folder(path: str) -> None:
    """Remove a temporary folder that a note names, and nothing else."""
    folder = Path(path)
    try:
        # the note's command may have come there by a link
        here = folder.parent.samefile(tempfile.gettempdir())
    except OSError:
        return
    if here and folder.name.startswith(_FOLDER):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def dead_labs(notes: Path | None = None) -> Iterator[list[Dead]]:
    """The labs whose commands are gone; notes that are still listed when the block ends stay.

    To be held meanwhile: of two commands that look at once, one finds a note. What noted nothing but a
    temporary folder is no lab: the folder is removed here.
    """
    held: dict[str, tuple[int, Path]] = {}
    found: list[Dead] = []
    try:
        for path in sorted(_own(notes).glob("*.json")):
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                facts = dict(json.loads(path.read_text(encoding="utf-8")))
                held[path.stem] = file, path
            except (OSError, ValueError):  # it lives, or another command has just removed it
                os.close(file)
                continue
            if facts.keys() == {"folder"}:
                remove_folder(facts["folder"])
            else:
                found.append(Dead(path.stem, facts))
    except OSError:
        pass
    try:
        yield found
    finally:
        left = {dead.name for dead in found}
        for name, (file, path) in held.items():
            if name not in left:
                path.unlink(missing_ok=True)
            os.close(file)


def _own(notes: Path | None) -> Path:
    """The folder of the notes, which nobody else can write.

    Raises:
        OSError: there is none, and none can be made.
    """
    folder = notes or Path(tempfile.gettempdir()) / f"loadproof-labs-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or folder.is_symlink() or status.st_mode & 0o022:
        raise PermissionError(f"{folder} is not ours alone")
    return folder
