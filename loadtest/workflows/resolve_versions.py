"""From the names in an experiment to versions on disk; the demo versions are trained when they are absent."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from contract.model_toml import MODEL_TOML, ModelTomlError, read_model_toml
from loadtest.data.dataset import Dataset
from loadtest.errors import ModelError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.lab.interface import IMAGE, Version


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
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise ModelError(f"training {trainer!r} failed: {last[0]}")


def check_input(experiment: Experiment) -> Dataset | None:
    """Refuse versions and an evaluation set that cannot be used, before anything is built for them.

    Returns:
        The evaluation set; None where a demo has yet to be trained.

    Raises:
        UsageError: a version or the evaluation set cannot be used.
    """
    if experiment.model.trainer is not None and not experiment.data.path.exists():
        return None
    versions = resolve(experiment)
    dataset = Dataset.read(experiment.data)
    for version in versions:
        if experiment.target is None and version.image is None:
            _check_model_toml(version.folder, experiment, dataset)
    return dataset


def _check_model_toml(folder: Path, experiment: Experiment, dataset: Dataset) -> None:
    """Hold a version's ``model.toml`` against the experiment."""
    try:
        model = read_model_toml(folder)
    except ModelTomlError as error:
        raise ModelError(str(error)) from None
    path = folder / MODEL_TOML
    for name, said, wanted in (
        ("name", model.name, ("[model] name", experiment.model.name)),
        ("task", model.task, ("[data] task", experiment.data.task)),
    ):
        if said != wanted[1]:
            raise ModelError(
                f"{path}: {name} is {said!r}, {wanted[0]} in the experiment is {wanted[1]!r}; make them agree"
            )
    features, columns = model.input.features, model.input.columns
    if features != len(dataset.names) or (columns and columns != dataset.names):
        raise ModelError(
            f"{path}: the model takes {features} features{_listed(columns)}, the experiment would send "
            f"{len(dataset.names)}{_listed(dataset.names)}; name them in the model's order under "
            "[data] features"
        )


def _listed(names: Sequence[str] | None) -> str:
    """A few of them, in brackets."""
    return f" ({', '.join(map(str, names[:5]))}{', ...' if len(names) > 5 else ''})" if names else ""


def resolve(experiment: Experiment) -> tuple[Version, Version]:
    """The stable and the candidate version of an experiment: folders, images, or servers elsewhere.

    Raises:
        ModelError: a version is no image, no folder below ``model.folder`` and no path.
    """
    target = experiment.target
    if target is not None:
        return Version(Role.STABLE, Path(), None, None), Version(Role.CANDIDATE, Path(), None, None)
    return (
        _version(experiment, Role.STABLE, experiment.versions.stable),
        _version(experiment, Role.CANDIDATE, experiment.versions.candidate),
    )


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
