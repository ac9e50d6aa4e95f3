"""The canary's state in a folder of this machine: one rename puts it and all that derives from it in force.

::

    state.json   -> current/state.json       what a person reads
    routes.json  -> current/routes.json      what Envoy reads; it watches the folder for renames
    targets.json -> current/targets.json     what Prometheus reads
    current      -> 17-5f3a                  renamed over the old link, after the new folder is whole
    17-5f3a/                                 the three files of serial 17

It imports little, so that a command that must be fast is.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from loadtest.canary.codec import STATE_FILE, decode
from loadtest.canary.state import Change, Deployment, State
from loadtest.errors import ControllerError, LabError, StateError
from loadtest.experiment.role import ROLES, Role
from loadtest.lab.gateway.route_change import RouteChange
from loadtest.lab.gateway.signature import sign

CURRENT = "current"
_LOCK = ".lock"
_CONTROLLER = "controller.json"
_POLL = 0.005
_READS = 5


class FolderStore:
    """A ``Store``; ``patience``: seconds to wait for another command that changes the state."""

    def __init__(self, folder: Path, routes: RouteChange, patience: float = 5.0) -> None:
        self._folder, self._routes, self._patience = folder, routes, patience

    @property
    def exists(self) -> bool:
        """Whether there is a state."""
        return (self._folder / STATE_FILE).exists()

    def read(self) -> State:
        """The state now; see ``Store.read``."""
        path = self._folder / STATE_FILE
        for attempt in range(_READS):
            try:
                return decode(path.read_text(encoding="utf-8"), str(path))
            except FileNotFoundError:
                # between following the link and opening the file, both were replaced
                if attempt + 1 == _READS or not self.exists:
                    raise StateError(f"{path}: there is no state; start a lab first") from None
            except (OSError, UnicodeDecodeError) as error:
                raise StateError(f"{path}: cannot be read ({error})") from None
        raise AssertionError

    def update(self, change: Change) -> State:
        """Read, change and write; see ``Store.update``."""
        with self._locked():
            before = self.read()
            state = change(before)
            if state != before:
                self._write(state)
        self._routes.confirm(state)
        return state

    def take_up(self, versions: Mapping[Role, str], percent: float) -> State:
        """Before the gateway starts: go on with the state that is there, or begin one at ``percent``."""
        stable, candidate = (Deployment(role, versions[role]) for role in ROLES)

        def resume(state: State) -> State:
            if {state.now.stable, state.now.candidate} == {stable, candidate}:
                return state
            return state.begin_again(stable, candidate, sign("other versions were deployed"))

        return self.start(lambda: State.begin(stable, candidate, sign("a new lab"), percent), resume)

    def start(self, begin: Callable[[], State], resume: Change = lambda state: state) -> State:
        """Before the gateway starts: take up the state that is there, or begin one; write all afresh."""
        with self._locked():
            state = resume(self.read()) if self.exists else begin()
            self._write(state)
        return state

    @contextmanager
    def lead(self, owner: str) -> Iterator[None]:
        """Be the one controller; see ``Store.lead``."""
        path = self._folder / _CONTROLLER
        with path.open("a+", encoding="utf-8") as file:
            if not _try_lock(file.fileno()):
                file.seek(0)
                raise ControllerError(refusal(file.read()))
            file.truncate(0)
            file.write(describe_owner(owner))
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        deadline = time.monotonic() + self._patience
        with (self._folder / _LOCK).open("a") as file:
            while not _try_lock(file.fileno()):
                if time.monotonic() > deadline:
                    raise LabError(
                        f"{self._folder}: another command has held the state for {self._patience:g} s"
                    )
                time.sleep(_POLL)
            yield

    def _write(self, state: State) -> None:
        whole = self._folder / f"{state.now.serial}-{os.urandom(4).hex()}"
        whole.mkdir()
        whole.chmod(0o755)
        files = self._routes.files(state)
        for name, text in files.items():
            # the state outlives a power cut; what derives from it need not, and the gateway waits for us
            _write(whole / name, text, through=name == STATE_FILE)
        _link(self._folder / CURRENT, whole.name)
        for name in files:
            # once; from then on the link above moves them all
            if not (self._folder / name).is_symlink():
                _link(self._folder / name, f"{CURRENT}/{name}")
        for old in self._folder.iterdir():
            if old.is_symlink():
                # half made by a process that was killed
                if old.name.startswith("."):
                    old.unlink()
            elif old.is_dir() and old != whole:
                _remove(old)


def describe_owner(owner: str) -> str:
    """What a controller writes of itself beside its lock."""
    return json.dumps({"owner": owner, "pid": os.getpid()})


def refusal(text: str) -> str:
    """The line for a second controller, from what the first wrote of itself."""
    try:
        first = json.loads(text)
        who = f"{first['owner']} (process {first['pid']})"
    except (ValueError, KeyError, TypeError):
        who = "another controller"
    return f"{who} controls this canary; stop it first, or only read with `loadproof canary status`"


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, text: str, through: bool) -> None:
    with path.open("w", encoding="utf-8") as file:
        # whatever this person's umask is: services in containers read it as other users
        os.fchmod(file.fileno(), 0o644)
        file.write(text)
        if through:
            file.flush()
            os.fsync(file.fileno())


def _remove(folder: Path) -> None:
    # not shutil.rmtree: its import alone takes as long as a rollback
    for file in folder.iterdir():
        file.unlink(missing_ok=True)
    folder.rmdir()


def _link(path: Path, target: str) -> None:
    partial = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    partial.symlink_to(target)
    partial.replace(path)
