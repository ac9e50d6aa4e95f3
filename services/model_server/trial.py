"""The trial of a model file in a child: what ends the process that loads it ends the child, not the server.

The readers of the boosting libraries follow what a file says. A damaged one can end the process, take all
of its memory, or never return. So a forked child loads and runs it first, bounded in memory, CPU time and
wall-clock time, and, where the kernel lets it, without a network. Code in the file is not held by this.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import resource
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from contract.version_folder import EXAMPLES, version_folder
from services.model_server.columns import Columns, Rows
from services.model_server.errors import VersionError, one_line
from services.model_server.runtime import Format
from services.model_server.tensors import TensorSpec
from services.model_server.version import LoadedVersion

_MIB = 2**20
_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER, _CLONE_NEWNET = 0x1000_0000, 0x4000_0000
_BOUNDARY_ROWS = 64


@dataclass(frozen=True)
class Limits:
    """What the child may take.

    Args:
        memory: bytes of address space beyond what it is born with.
        cpu: seconds of CPU time.
        wall: seconds until it is given up, whatever it does.
    """

    memory: int
    cpu: int
    wall: float

    @classmethod
    def of(cls, path: Path) -> Limits:
        """In proportion to the file, which a library holds several times while it reads it."""
        size = path.stat().st_size
        cpu = 60 + size // _MIB
        # CatBoost may start a thread per core, and each reserves a stack and an arena of memory
        threads = 128 * _MIB * (os.cpu_count() or 1)
        return cls(4096 * _MIB + threads + 50 * size, cpu, 5.0 * cpu)


class HarmfulFileError(VersionError):
    """A file ended the child that loaded it, held it up, or had it fail in a way that no reader reports."""


def libraries_of(path: Path, kind: Format) -> tuple[str, ...]:
    """The libraries whose readers the file may end a process by; empty where it needs no trial."""
    return kind.native(path) if kind.native else ()


def in_child(path: Path, kind: Format, work: Callable[[], Any], limits: Limits | None = None) -> Any:
    """What ``work`` returns, done in a child that may die of it.

    Args:
        path: the model file, which an error names.
        kind: its format; where no library that reads it may end the process, ``work`` is done here.
        work: returns what JSON holds; what it prints on standard error is not shown.
        limits: of the child; None: in proportion to the file.

    Raises:
        VersionError: ``work`` raised it.
        HarmfulFileError: ``work`` failed otherwise, exceeded a limit, or ended the child.
    """
    libraries = libraries_of(path, kind)
    if not libraries:
        return work()
    _import(libraries, path)
    limits = limits or Limits.of(path)
    sys.stdout.flush()
    sys.stderr.flush()
    answers, given = os.pipe()
    parent = os.getpid()
    with warnings.catch_warnings():
        # Python warns of a fork beside other threads; those of BLAS wait for work, and hold nothing
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if not pid:
        os.close(answers)
        _child(work, given, limits, parent, network=kind.runs_code)
    os.close(given)
    try:
        line = _line(answers, time.monotonic() + limits.wall)
    finally:
        os.close(answers)
        with suppress(ProcessLookupError):
            # it has answered, or will not
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    if line is None:
        raise _harmful(path, f"was not done after {limits.wall:.0f} s")
    if not line:
        raise _harmful(path, _why(status, limits))
    answer = json.loads(line)
    if "refused" in answer:
        raise VersionError(answer["refused"])
    if "failed" in answer:
        raise _harmful(path, f"failed ({answer['failed']})")
    return answer["done"]


def _import(libraries: tuple[str, ...], path: Path) -> None:
    """Once, for the child and for this process; a missing one is reported by whoever needs it.

    Raises:
        VersionError: one lacks a library of the system, as LightGBM's wheels do without ``libgomp1``.
    """
    reader = ("fastparquet",) if (version_folder(path) / EXAMPLES).exists() else ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in (*libraries, *reader):
            try:
                with suppress(ImportError):
                    import_module(name)
            except OSError as error:
                raise VersionError(
                    f"{path}: the package {name} cannot be loaded ({one_line(error)}); install what it "
                    "lacks, on Debian such as libgomp1"
                ) from error


def try_model(version: LoadedVersion) -> None:
    """Run a version on its examples and, where it takes numbers, on rows at the ends of their range."""
    version.run(version.examples, frozenset(version.outputs))
    with suppress(Exception):
        # honest models, too, refuse numbers that no feature has
        version.run(_boundary_rows(version), frozenset(version.outputs))


def _boundary_rows(version: LoadedVersion) -> Rows:
    """Numbers that take a tree's every path, given or not: rows of extremes, drawn with a fixed seed."""
    rng = np.random.default_rng(0)
    ends = np.array([-1e30, -1.0, 0.0, 0.5, 1.0, 1e30, np.nan])
    spec = version.input
    if isinstance(spec, TensorSpec):
        return rng.choice(ends[:-1], (_BOUNDARY_ROWS, *spec.shape[1:])).astype(spec.dtype)
    assert isinstance(version.examples, Columns)  # noqa: S101 - rows of columns are
    some = rng.integers(len(version.examples), size=_BOUNDARY_ROWS)
    return Columns(
        {
            one.name: rng.choice(ends, _BOUNDARY_ROWS) if one.datatype == "FP64" else cells[some]
            for one, cells in zip(spec, version.examples.arrays.values(), strict=True)
        }
    )


def _child(work: Callable[[], Any], pipe: int, limits: Limits, parent: int, *, network: bool) -> None:
    """Do ``work``, send one line of JSON, and end without the parent's own last acts."""
    try:
        _bound(limits, parent)
        if not network:
            _leave_network()
        try:
            answer = {"done": work()}
        except VersionError as error:
            answer = {"refused": str(error)}
        except BaseException as error:
            answer = {"failed": one_line(error)}
        said = json.dumps(answer).encode() + b"\n"
        while said:
            said = said[os.write(pipe, said) :]
    finally:
        os._exit(0)


def _bound(limits: Limits, parent: int) -> None:
    faulthandler.disable()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu, limits.cpu + 5))
    if sys.platform != "linux":
        # elsewhere the limit of address space is not held, or not settable
        return
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + limits.memory
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with suppress(OSError):
        # where a container's memory runs out first, its kernel takes the child
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _leave_network() -> None:
    """A network of its own, with nobody in it, where the kernel allows that."""
    if sys.platform != "linux":
        return
    user, group, libc = os.getuid(), os.getgid(), ctypes.CDLL(None)
    if libc.unshare(_CLONE_NEWNET) == 0 or user == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return
    with suppress(OSError):
        # files look as before to code that asks whose they are
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            Path(f"/proc/self/{name}").write_text(text, encoding="ascii")


def _line(pipe: int, ends: float) -> bytes | None:
    """What comes before the end of the line; empty where the child died first, None after ``ends``."""
    found = b""
    while not found.endswith(b"\n"):
        left = ends - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            return None
        more = os.read(pipe, 2**16)
        if not more:
            return b""
        found += more
    return found


def _why(status: int, limits: Limits) -> str:
    if not os.WIFSIGNALED(status):
        return f"ended with exit code {os.waitstatus_to_exitcode(status)}"
    signum = os.WTERMSIG(status)
    if signum == signal.SIGXCPU:
        return f"took more than {limits.cpu} s of CPU time"
    return f"was ended by {signal.Signals(signum).name}"


def _harmful(path: Path, what: str) -> HarmfulFileError:
    return HarmfulFileError(
        f"{path}: damaged, or made to do harm: a child process that loaded and ran it {what}; save the model "
        "again, and take models only from people you know"
    )
