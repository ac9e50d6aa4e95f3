"""The canary's state on a volume of containers, from outside of them: what ``docker compose up`` has.

One ``docker exec`` carries a whole change: it prints the state, waits for the files of the next one, and puts
them in force by a rename, under a lock that ends with this process (``services/gateway/canary-state.sh``).
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager

from loadtest.canary.codec import STATE_FILE, decode
from loadtest.canary.state import Change, State
from loadtest.errors import ControllerError, LabError
from loadtest.lab.gateway.folder_store import describe_owner, refusal
from loadtest.lab.gateway.route_change import RouteChange

_END = b"end of state\n"
_LEADS = "leads"
_SECONDS = 15.0
_LEAVE = 5.0


class VolumeStore:
    """A ``Store``: ``VolumeStore("loadproof-gateway-1", routes)``, by the container of the gateway."""

    def __init__(self, container: str, routes: RouteChange) -> None:
        self._container, self._routes = container, routes
        self._leading: subprocess.Popen[bytes] | None = None

    def read(self) -> State:
        """The state now; see ``Store.read``."""
        with self._exec("cat", f"/routes/{STATE_FILE}") as process:
            out, err = process.communicate(timeout=_SECONDS)
        if process.returncode:
            raise LabError(_reason(self._container, err))
        return self._decode(out)

    def update(self, change: Change) -> State:
        """Read, change and write; see ``Store.update``.

        Raises:
            ControllerError: this controller no longer leads, because the gateway was restarted meanwhile.
        """
        if self._leading and self._leading.poll() is not None:
            raise ControllerError(
                "the gateway was restarted, and this controller no longer leads; start it again"
            )
        with self._exec("canary-state", "change") as process:
            try:
                state = self._change(process, change)
            finally:
                if process.poll() is None:
                    process.kill()
        self._routes.confirm(state)
        return state

    @contextmanager
    def lead(self, owner: str) -> Iterator[None]:
        """Be the one controller; see ``Store.lead``."""
        with self._exec("canary-state", "lead", describe_owner(owner)) as process:
            assert process.stdin is not None  # noqa: S101 - for the type checker
            assert process.stdout is not None  # noqa: S101 - for the type checker
            first = process.stdout.readline().decode(errors="replace").strip()
            if first != _LEADS:
                _, err = process.communicate(timeout=_SECONDS)
                raise ControllerError(refusal(first)) if first else LabError(_reason(self._container, err))
            self._leading = process
            try:
                yield
            finally:
                self._leading = None
                process.stdin.close()
                try:
                    process.wait(_LEAVE)
                except subprocess.TimeoutExpired:
                    process.kill()

    def _change(self, process: subprocess.Popen[bytes], change: Change) -> State:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        text = b""
        for line in process.stdout:
            if line == _END:
                break
            text += line
        else:
            raise LabError(_reason(self._container, process.communicate(timeout=_SECONDS)[1]))
        state = change(self._decode(text))
        _, err = process.communicate(_archive(self._routes.files(state)), _SECONDS)
        if process.returncode:
            raise LabError(_reason(self._container, err))
        return state

    def _decode(self, text: bytes) -> State:
        return decode(text.decode(errors="replace"), f"{self._container}:/routes/{STATE_FILE}")

    def _exec(self, *command: str) -> subprocess.Popen[bytes]:
        try:
            # its own session: Ctrl-C reaches this process only, which then ends the command in order
            return subprocess.Popen(
                ["docker", "exec", "--interactive", self._container, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise LabError(f"no docker command can be run ({error.strerror})") from None


def _archive(files: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, text in files.items():
            data = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def _reason(container: str, err: bytes) -> str:
    lines = [line for line in err.decode(errors="replace").splitlines() if line.strip()]
    if lines and ("No such container" in lines[-1] or "is not running" in lines[-1]):
        remedy = "start one with `loadproof canary up` or `docker compose up -d`"
        return f"no lab runs here, nor does the container {container}; {remedy}"
    return f"{container}: {lines[-1].strip() if lines else 'its state could not be changed'}"
