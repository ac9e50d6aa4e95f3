"""What every verb does before its load: check all of the experiment, then provide images, demo and versions.

::

    checked = check_compare(experiment, "auto", Path("results"))   # nothing was built, trained or started
    ready = checked.provide(progress.step)
    compare(ready, Path("results"), progress)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from contract.model_toml import MODEL_TOML, ModelToml, ModelTomlError, read_model_toml
from loadtest.canary import live_gates
from loadtest.capacity import gates as capacity_gates
from loadtest.data.dataset import Dataset
from loadtest.data.repeats import check_rows_suffice
from loadtest.data.run_folder import require_writable
from loadtest.errors import ExperimentError, ModelError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES, Role
from loadtest.judge.enough_rows import too_few_rows
from loadtest.judge.gate_checks import check_gates, check_labels
from loadtest.lab.interface import IMAGE, OpenLab, Version
from loadtest.lab.own_runtime import own_runtime
from loadtest.lab.processes.supervisor import run_supervised
from loadtest.lab.select import check_backend, choose_lab
from loadtest.workflows.columns_sent import check_input, columns_of, output_lines, read_for, sent_lines
from loadtest.workflows.replay import resolve_replay
from loadtest.workflows.untried_words import untried_words

CheckGates = Callable[[Experiment, Dataset | None], Iterable[str] | None]
"""Refuses gates, or has lines on them."""


class Ready(NamedTuple):
    """An experiment that can start: its evaluation set in memory, its versions on disk, its lab at hand.

    Args:
        experiment: resolved; its data path is absolute, so that it can be read from another folder.
        versions: stable, candidate, and the control where there is one.
        open_lab: makes the lab that starts both.
    """

    experiment: Experiment
    dataset: Dataset
    versions: tuple[Version, ...]
    open_lab: OpenLab


class _Found(NamedTuple):
    """What an experiment names, held against each other; ``notes`` say of a log, and what goes where."""

    experiment: Experiment
    dataset: Dataset
    versions: tuple[Version, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Checked:
    """An experiment that a verb can do. ``found`` is None where the demo has yet to be trained."""

    experiment: Experiment
    backend: str
    found: _Found | None
    gates: CheckGates
    results: Path | None = None

    def provide(self, say: Callable[[str], None], **lab: Any) -> Ready:
        """Choose the backend, build its images and train the demo, as far as they are missing.

        ``lab`` is of ``choose_lab``: ``state``, ``percent``, ``allow_faults``.

        Raises:
            UsageError: the demo, once trained, does not fit the experiment.
            StartError: the backend cannot be had.
        """
        open_lab = choose_lab(self.backend, self.experiment, say, **lab)
        train_if_absent(self.experiment, say)
        found = self.found or _find(self.experiment, self.gates, self.results)
        source = self.experiment.load.replay or found.dataset.path
        for note in (*found.notes, *found.dataset.notes):
            say(f"{source.name}: {note}")
        return Ready(found.experiment.with_absolute_data(), found.dataset, found.versions, open_lab)


def check_compare(experiment: Experiment, backend: str, results: Path) -> Checked:
    """Check what ``loadproof compare`` is to do.

    Raises:
        UsageError: it cannot be done.
    """
    load = experiment.load
    if load.traffic in ROLES:
        raise ExperimentError(
            f"{load.traffic} traffic loads one version, there is nothing to compare; use loadproof capacity"
        )
    if load.traffic == "shadow":
        raise ExperimentError(
            "shadow traffic has no answers of the candidate to compare; use loadproof canary"
        )
    if load.restarts > 1 and load.until_decided:
        raise ExperimentError("restarts are judged when all are done: give --restarts or --until-decided")
    if load.restarts > 1 and load.rates:
        raise ExperimentError("rates and restarts do not go together; leave one of them out")
    if load.rates and experiment.data.repeats == "forbid":
        raise ExperimentError(
            "each of [load] rates sends the same rows, and [data] repeats forbids to send one twice; "
            "give one rate"
        )
    return _check(experiment, backend, _check_rows_and_gates, results)


def _check_rows_and_gates(experiment: Experiment, dataset: Dataset | None) -> Iterable[str]:
    check_gates(experiment, dataset)
    if dataset is None:
        return ()
    experiment.load.check_request_sizes(len(dataset))
    if experiment.data.repeats == "forbid":
        # as many as are to be expected: the load knows its arrivals to the last one, and counts again
        check_rows_suffice(dataset, experiment.load.expected_rows)
    return too_few_rows(experiment, dataset)


def check_capacity(
    experiment: Experiment, backend: str, results: Path, by_limit: Mapping[str, object]
) -> Checked:
    """Check what ``loadproof capacity`` is to do.

    ``by_limit`` has the options that are about CPU limits, by name; None or empty: not given.

    Raises:
        UsageError: it cannot be done.
    """
    if experiment.target is not None and (option := next((o for o, v in by_limit.items() if v), None)):
        raise UsageError(
            f"{option} needs CPU limits, which two servers by their URLs do not tell; leave it out"
        )
    if why := experiment.load.refuses_capacity:
        raise ExperimentError(why)
    if experiment.data.repeats == "forbid":
        raise ExperimentError(
            "capacity sends the same rows in each trial, and [data] repeats forbids to send one twice; "
            'set it to "allow"'
        )
    return _check(experiment, backend, lambda e, _: capacity_gates.check(e.capacity.gates), results)


def check_canary_run(experiment: Experiment, backend: str, results: Path) -> Checked:
    """Check what ``loadproof canary run`` is to do.

    Raises:
        UsageError: it cannot be done.
    """
    live_gates.check(experiment)
    if experiment.load.traffic != "canary":
        raise ExperimentError(f'{experiment.name}: a canary needs [load] traffic = "canary"')
    if experiment.load.shape:
        raise ExperimentError(
            "a canary holds each window of time against stable's latency in the windows before it, at one "
            f"constant rate; leave out {experiment.load.shape}"
        )
    return _check(experiment, backend, _check_labels, results)


def _check_labels(experiment: Experiment, dataset: Dataset | None) -> None:
    if dataset is not None:
        live_gates.check_feedback(experiment, dataset)
        if dataset.labelled:
            check_labels(experiment, dataset)


def check_canary_up(experiment: Experiment, backend: str) -> Checked:
    """Check what ``loadproof canary up`` is to do.

    Raises:
        UsageError: it cannot be done.
    """
    if experiment.target is not None:
        raise ExperimentError("two servers by their URLs have no gateway for a canary; leave out [target]")
    if experiment.load.replay is not None:
        raise ExperimentError("a log is replayed by loadproof compare alone; leave out [load] replay")
    return _check(experiment, backend, lambda *_: None)


def _check(experiment: Experiment, backend: str, gates: CheckGates, results: Path | None = None) -> Checked:
    if experiment.load.control and gates is not _check_rows_and_gates:
        raise ExperimentError("only loadproof compare has a control; leave out [load] control")
    check_backend(backend, experiment)
    gates(experiment, None)
    untrained = experiment.model.trainer is not None and not experiment.data.path.exists()
    if results is not None:
        require_writable(results)
    found = None if untrained else _find(experiment, gates, results)
    return Checked(experiment, backend, found, gates, results)


def train_if_absent(experiment: Experiment, say: Callable[[str], None]) -> None:
    """Train the demo versions that the experiment names, unless they are there.

    Raises:
        ModelError: the trainer failed; carries its last line.
    """
    trainer, folder = experiment.model.trainer, experiment.model.folder
    if trainer is None or experiment.data.path.exists():
        return
    say(f"training the demo versions of {trainer!r} into {folder} (once)")
    command = [sys.executable, "-m", "services.trainer", trainer, "--out", str(folder)]
    code, said = run_supervised("trainer", command)
    if code:
        raise ModelError(f"training {trainer!r} failed: {said[-1] if said else 'it said nothing'}")


def _find(experiment: Experiment, gates: CheckGates, results: Path | None) -> _Found:
    """The evaluation set and the versions, held against the experiment and its gates."""
    replayed: tuple[str, ...] = ()
    deployed = resolve(experiment)
    # a control is stable once more
    versions = [version for version in deployed if version.role in ROLES]
    models = {
        version.role: _read_model_toml(version.folder, experiment)
        for version in versions
        if experiment.target is None and version.image is None
    }
    for version in versions:
        # refused before anything is built; the lab makes of it what the version runs on
        if version.role in models:
            own_runtime(version.folder)
    if results is not None:
        experiment, replayed = resolve_replay(experiment, results)
    data, dataset = read_for(experiment.data, [model.input for model in models.values()])
    experiment = experiment.model_copy(update={"data": data})
    open_gates = gates(experiment, dataset) or ()
    for version in versions:
        if version.role in models:
            check_input(version.folder / MODEL_TOML, models[version.role].input, dataset)
    sent = {
        str(version.role): columns_of(models[version.role].input if version.role in models else None, dataset)
        for version in versions
    }
    outputs = {str(role): model.output for role, model in models.items()}
    taken = {str(v.role): (v.folder, models[v.role].input) for v in versions if v.role in models}
    words = untried_words(taken, dataset)
    notes = (*sent_lines(sent, dataset.names), *words, *output_lines(outputs, data.outputs), *open_gates)
    return _Found(experiment, dataset, deployed, (*replayed, *notes))


def _read_model_toml(folder: Path, experiment: Experiment) -> ModelToml:
    try:
        model = read_model_toml(folder)
    except ModelTomlError as error:
        raise ModelError(str(error)) from None
    path = folder / MODEL_TOML
    for name, said, key, wanted in (
        ("name", model.name, "[model] name", experiment.model.name),
        ("task", model.task, "[data] task", experiment.data.task),
    ):
        # a version that ranks classes, or lists, has a first item: it is a classification
        if said != wanted and (said, wanted) != ("classification", "ranking"):
            raise ModelError(
                f"{path}: {name} is {said!r}, {key} in the experiment is {wanted!r}; make them agree"
            )
    return model


def resolve(experiment: Experiment) -> tuple[Version, ...]:
    """The versions of an experiment, in the order of its roles: folders, images, or servers elsewhere.

    Raises:
        ModelError: a version is no image, no folder below ``model.folder`` and no path.
    """
    if experiment.target is not None:
        return tuple(Version(role, Path(), None, None) for role in experiment.roles)
    both = [_version(experiment, role, getattr(experiment.versions, role)) for role in ROLES]
    again = [replace(both[0], role=role) for role in experiment.roles if role not in ROLES]
    return *both, *again


def _version(experiment: Experiment, role: Role, name: str) -> Version:
    folder, limits = experiment.model.folder, experiment.limits
    if name.startswith(IMAGE):
        image = name.removeprefix(IMAGE)
        if not image:
            raise ModelError(f"{role} {name!r}: names no image; write for example {IMAGE}registry/mine:2")
        return Version(role, Path(), limits.cpus, limits.memory, image)
    for path in (folder / name, Path(name)):
        if (path / MODEL_TOML).is_file():
            return Version(role, path.absolute(), limits.cpus, limits.memory)
    known = ", ".join(sorted(p.parent.name for p in folder.glob(f"*/{MODEL_TOML}"))) or "none"
    model = next((p for p in sorted((folder / name).glob("model.*")) if p.suffix != ".toml"), None)
    if model is not None:
        raise ModelError(
            f"{role} {name!r}: no model.toml beside {model}; `loadproof init {folder}` writes it"
        )
    raise ModelError(
        f"{role} {name!r}: no version folder with a model.toml at {folder / name}; versions there: {known}"
    )
