"""The load generator in a container: the job folder goes in, its results come out, its lines stream."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loadtest.data.cut_off_run import is_cut_off
from loadtest.data.run_folder import LOAD
from loadtest.data.sample_lines import read_kept
from loadtest.data.sample_stream import SampleStream, stream_facts
from loadtest.errors import ExitCode, LabError, UsageError
from loadtest.lab.compose.docker_cli import Docker
from loadtest.lab.compose.project import Container

USER = 10001
"""The user and group that the services of the lab run as."""

_JOB = "/job"
_STOP_SECONDS = 30.0
_COPY_SECONDS = 120.0


class ComposeLoad:
    """A ``LoadProcess`` in a created container: the constructor copies the job in and starts it.

    Files travel with ``docker cp``: the container needs no access to the job folder, whoever owns it.
    A generator that hangs is killed after ``limit`` seconds, so that a run always ends.

    Raises:
        LabError: the job cannot be copied in.
        UsageError: its folder cannot be written.
    """

    def __init__(self, docker: Docker, container: Container, job: Path, limit: float) -> None:
        self._docker = docker
        self._id = container.id
        self._job = job
        self._stopped = False
        self._code: int | None = None
        self._trouble: str | None = None
        docker.run("cp", "-", f"{self._id}:{_JOB}", stdin=_archive(job), timeout=_COPY_SECONDS)
        try:
            self._kept = SampleStream(job)
        except OSError as error:
            raise UsageError(
                f"{job}: cannot write the samples there ({error.strerror}); "
                "make room, or choose another --results"
            ) from error
        # its own session: on Ctrl-C the flow asks it to stop, and what was measured is kept
        self._process = subprocess.Popen(
            [docker.program, "start", "--attach", self._id],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._watchdog = threading.Timer(limit, self._signal, ["KILL"])
        self._watchdog.daemon = True
        self._watchdog.start()

    @property
    def stopped(self) -> bool:
        """Whether it was asked to end early."""
        return self._stopped

    def lines(self) -> Iterator[str]:
        """Its standard output, line by line, until it ends; samples are kept in the job folder on the way."""
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        for line in self._process.stdout:
            self._keep(line)
            yield line.rstrip("\n")

    def stop(self) -> None:
        """Ask it to end early and keep what was measured; idempotent."""
        if not self._stopped and self._process.poll() is None:
            self._stopped = True
            self._signal("INT")

    def wait(self) -> int:
        """Its exit code, once ``samples.parquet`` and ``load.json`` lie in the job folder.

        Where the disk takes no more, ``samples.stream`` has what was measured until then instead.

        Raises:
            LabError: its files cannot be copied out.
        """
        if self._code is None:
            try:
                self._process.communicate(timeout=_STOP_SECONDS if self._stopped else None)
            except subprocess.TimeoutExpired:
                self._signal("KILL")
                self._process.communicate()
            self._watchdog.cancel()
            self._code = self._copy_out()
        return self._code

    def _copy_out(self) -> int:
        """Copy its files into the job folder; the exit code of what is then there."""
        if self._trouble is not None:
            self._kept.close({"trouble": self._trouble})
            return ExitCode.PASS  # it was ended from here, and what is there can be judged
        try:
            with tempfile.TemporaryDirectory(dir=self._job, prefix=".copy-") as folder:
                self._docker.run("cp", f"{self._id}:{_JOB}/.", folder, timeout=_COPY_SECONDS)
                for path in Path(folder).iterdir():
                    path.replace(self._job / path.name)
        except (LabError, OSError) as error:
            if not _is_full(error):
                raise
            # every sample is in the stream already
            self._kept.close(self._last_facts())
            return self._process.returncode
        self._kept.close()
        if not is_cut_off(self._job):
            self._kept.path.unlink(missing_ok=True)
        return self._process.returncode

    def _last_facts(self) -> dict[str, Any] | None:
        """What the generator said in the end, without a file of this machine; None: it did not."""
        try:
            archive = self._docker.run("cp", f"{self._id}:{_JOB}/{LOAD}", "-", timeout=_COPY_SECONDS)
            with tarfile.open(fileobj=io.BytesIO(archive.encode())) as files:
                content = files.extractfile(LOAD)
                return stream_facts(json.load(content)) if content else None
        except (LabError, tarfile.TarError, KeyError, ValueError):
            return None

    def _keep(self, line: str) -> None:
        kept = read_kept(line)
        if kept is None or self._trouble is not None:
            return
        try:
            self._kept.add(*kept)
        except OSError as error:
            self._trouble = f"the disk took no more ({error.strerror})"
            self.stop()

    def close(self) -> None:
        """Let go of the client after the container was removed."""
        self._watchdog.cancel()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.communicate(timeout=5)
            return
        self._process.kill()
        self._process.communicate()

    def _signal(self, name: str) -> None:
        # it may end by itself at the same moment
        with contextlib.suppress(LabError):
            self._docker.run("kill", "--signal", name, self._id, timeout=30)


def _is_full(error: Exception) -> bool:
    """Whether the disk of this machine took no more, by the Engine's words or by the number."""
    full = (errno.ENOSPC, errno.EDQUOT)
    if isinstance(error, OSError):
        return error.errno in full
    return any(os.strerror(number).lower() in str(error).lower() for number in full)


def _archive(job: Path) -> bytes:
    """The job folder's files as a tar stream, owned by the container's user."""

    def own(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = USER
        entry.uname = entry.gname = ""
        return entry

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path in sorted(job.iterdir()):
            archive.add(path, arcname=path.name, filter=own)
    return stream.getvalue()
