"""Which backend a run takes: by name, or the first of them that can be had here.

A backend is a folder of ``loadtest/lab`` with a ``backend.py``, and nothing else names it.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from loadtest import lab
from loadtest.errors import LabError, StartError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.lab.interface import Backend, LabRequest, OpenLab
from loadtest.lab.leftovers import dead_labs
from loadtest.lab.remote_workers import RemoteWorkers

AUTO = "auto"


@cache
def backends() -> tuple[Backend, ...]:
    """Every backend, in the order in which ``auto`` tries them."""
    rooms = (f"{lab.__name__}.{room.name}" for room in pkgutil.iter_modules(lab.__path__) if room.ispkg)
    names = (f"{room}.backend" for room in rooms if find_spec(f"{room}.backend"))
    found: list[Backend] = [import_module(name).BACKEND for name in names]
    return tuple(sorted(found, key=lambda one: one.rank))


def backend_names(among: Sequence[Backend] | None = None) -> list[str]:
    """What a person can ask for; servers elsewhere are asked for by the experiment's ``[target]``."""
    return [AUTO, *(one.name for one in among or backends() if not one.external)]


def check_backend(
    backend: str, experiment: Experiment, among: Sequence[Backend] | None = None
) -> list[Backend]:
    """Refuse what a backend can never do, before anything is built for it; the backends to try, in order.

    Raises:
        UsageError: there is no such backend, or it does not take this experiment.
    """
    among = among or backends()
    if backend not in backend_names(among):
        raise UsageError(f"no backend {backend!r}; there are {', '.join(backend_names(among))}")
    fitting = [one for one in among if one.external == (experiment.target is not None)]
    left = [one for one in fitting if one.external or backend in (AUTO, one.name)]
    if problem := left[0].refuses(experiment):
        raise UsageError(problem)
    return left


def choose_lab(
    backend: str,
    experiment: Experiment,
    say: Callable[[str], None],
    among: Sequence[Backend] | None = None,
    *,
    state: Path | None = None,
    percent: float = 10.0,
    allow_faults: bool = False,
    workers: RemoteWorkers | None = None,
) -> OpenLab:
    """Make sure that a backend can be had, and return what opens a lab on it; see ``LabRequest``.

    Raises:
        UsageError: there is no such backend, or it does not take this experiment.
        StartError: it cannot be had here; the message says why and names the remedy.
    """
    left = check_backend(backend, experiment, among)
    request = LabRequest(experiment, say, state, percent, allow_faults, workers)
    while True:
        one = left.pop(0)
        if problem := one.refuses(experiment):
            raise UsageError(problem)
        try:
            return one.prepare(request)
        except StartError as error:
            if not left:
                others = " or ".join(
                    other.name
                    for other in among or backends()
                    if other.external == one.external and other is not one
                )
                remedy = f", or take BACKEND={others}" if others and backend != AUTO else ""
                raise StartError(f"{error}{remedy}", error.log) from None
            say(f"taking {left[0].title}: {str(error).split('; ')[0]}")


def version_python(folder: Path, say: Callable[[str], None], among: Sequence[Backend] | None = None) -> Path:
    """The interpreter on this machine that a version is tried with, outside of any lab.

    Where the folder has a ``requirements.txt``, its packages are installed once.

    Raises:
        ModelError: its packages cannot be had together.
        StartError: there is nothing to install them with.
    """
    pythons = (one.python for one in among or backends() if one.python)
    return next((python(folder, say) for python in pythons), Path(sys.executable))


def remove_leftovers(
    say: Callable[[str], None], among: Sequence[Backend] | None = None, notes: Path | None = None
) -> None:
    """Remove what killed commands left running, and say so in a line each; labs that live are not touched."""
    with dead_labs(notes) as dead:
        if not dead:
            return
        removers = {one.name: one.remove for one in among or backends() if one.remove}
        for lab_ in list(dead):
            remove = removers.get(lab_.facts.get("backend", ""))
            try:
                if remove:
                    what = remove(lab_.facts, lab_.name)
                    say(f"a command was killed and left its lab behind; removed {what}")
                dead.remove(lab_)
            except (LabError, KeyError) as error:
                say(f"a command was killed, and its lab cannot be removed: {error}")
