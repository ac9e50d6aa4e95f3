"""Somebody's own model, made ready: ``model.toml`` of each version, and an experiment that compares two."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from contract.counted import counted
from contract.model_toml import MODEL_TOML
from contract.version_folder import MLMODEL
from loadtest.data.dataset import Dataset
from loadtest.data.unknown_categories import unknown_categories
from loadtest.errors import DatasetError, ModelError, UsageError
from loadtest.experiment.experiment import DEFAULT_GATES, UNLABELLED_GATES, Data
from loadtest.lab.interface import VersionPython
from loadtest.lab.select import version_python
from loadtest.workflows.columns_sent import sent_lines
from loadtest.workflows.described_version import (
    Ask,
    Described,
    ask_process,
    describe_each,
    output_of,
    run_module,
)
from loadtest.workflows.new_experiment import (
    by_option,
    known_outputs,
    outputs_line,
    read_rows,
    score_gates,
    write_experiment,
)
from loadtest.workflows.tried_rows import ROWS, quality, tried_rows

SETS = ("evaluation.parquet", "evaluation.csv")
_RANKING = "ranking"
"""What a version's ``output`` is where its answers are ranked lists."""
_SHOWN = 8
"""How many of a version's outputs are named."""
_RATE, _SECONDS = 50, 60
"""Of the load that an experiment begins with."""

Say = Callable[[str], None]


def init(
    folder: Path,
    say: Say,
    *,
    data: Path | None = None,
    label: str | None = None,
    ignore: Sequence[str] = (),
    out: Path | None = None,
    python_of: VersionPython = version_python,
    ask: Ask = ask_process,
) -> Path:
    """Make the versions in a folder ready to be compared; the path of the experiment that was written.

    Args:
        folder: of the model; each version is a folder in it, with one model file. Or one such file, or an
            MLflow folder, which is copied into ``models``.
        say: where it says what it did, a line at a time.
        data: the evaluation set; None: ``evaluation.parquet`` or ``.csv`` in ``folder``.
        label: its label column; None: ``label`` if there is one, else it has no labels.
        ignore: columns that are no features.
        out: the experiment; None: the name of ``folder``, with ``.toml``, here.
        python_of: the interpreter of a version whose folder has a ``requirements.txt``.
        ask: has an interpreter try the versions; in a process of its own, since their code is foreign.

    Raises:
        UsageError: the folder, the evaluation set or a model cannot be used; no experiment was written.
        StartError: there is nothing to install a version's own packages with.
    """
    if folder.is_file() or (folder / MLMODEL).is_file():
        folder = _placed(folder, data, say)
    out = out or Path(f"{folder.absolute().name}.toml")
    if out.exists():
        raise UsageError(f"{out}: exists already; delete it, or name another file with --out")
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder; each version of the model is a folder in it")
    given = Data(path=data or _evaluation_set(folder), label=label)
    dataset = read_rows(given, ignore)
    rows = tried_rows(dataset)
    asked = {
        "folder": str(folder),
        "name": folder.absolute().name,
        "columns": dataset.names,
        "rows": [dataset.row(row) for row in rows],
        "label": given.label_column,
        "labels": np.unique(dataset.labels)[:ROWS].tolist(),
        "ranked": dataset.ranked,
    }
    described = {one.version: one for one in describe_each(folder, asked, dataset, say, python_of, ask)}
    versions = list(described)
    first = described[versions[0]]
    for version, other in described.items():
        if other.task != first.task:
            raise ModelError(
                f"{folder}: {versions[0]} is a {first.task}, {version} a {other.task}; "
                "only versions that answer the same question can be compared"
            )
    taken = tuple(dict.fromkeys(name for one in described.values() for name in one.columns))
    lists = dataset.ranked or any(one.output == _RANKING for one in described.values())
    task = _RANKING if lists else first.task
    outputs = {}
    if task == "regression":
        others = [one.outputs for one in described.values()]
        outputs = known_outputs(first.output, others, dataset, taken)
    label = given.label or (given.label_column if dataset.labelled and outputs else None)
    found = {"task": task, "features": taken, "outputs": outputs, "label": label}
    given = given.model_copy(update=found)
    dataset = Dataset.read(given)
    for note in dataset.notes:
        say(f"{given.path}: {by_option(note)}")
    for version, one in described.items():
        wrote = f"; wrote {MODEL_TOML}" if one.wrote else ""
        good = quality(version, one.task, one.predictions, dataset, rows)
        kind = task if one.output == _RANKING else one.task
        say(f"{version}: {kind}, {_features(one)}, {good}{wrote}")
        if one.output and one.output != _RANKING:
            more = f" and {len(one.outputs) - _SHOWN} more" if len(one.outputs) > _SHOWN else ""
            say(
                f"{version}: the gates are about {one.output!r} of its outputs "
                f"{', '.join(one.outputs[:_SHOWN])}{more}; "
                f"output in its {MODEL_TOML} chooses another"
            )
        for note in (*one.notes, *unknown_categories(one.categories, one.columns, dataset)):
            say(f"{version}: {note}")
    if task == "regression" and len(first.outputs) > 1:
        say(f"{given.path}: {outputs_line(outputs, first.outputs, out)}")
    for line in sent_lines({version: one.columns for version, one in described.items()}, taken):
        say(f"{given.path}: {line}")
    if len(versions) == 1:
        say(f"{versions[0]} is the only version so far: it will be compared with itself")
    elif len(versions) > 2:
        say(f"{len(versions)} versions: {out} compares the first two; change [versions], or give --candidate")
    if not dataset.labelled:
        say(f"no labels: {out} judges whether both answer the same ({UNLABELLED_GATES[0]}), not who is right")
    scores = False
    if task == "classification" and dataset.labelled:
        unlike = _without_score_gates(list(described.values()), dataset)
        for line in unlike:
            say(line)
        scores = not unlike
        if scores and (read := [one.classes for one in described.values() if not one.classes_said]):
            given = given.model_copy(update={"classes": tuple(read[0])})
            say(
                f"the order of the probabilities, {_named(read[0])}, was read off the answers: the label is "
                f"always that of the highest; {out} has it under [data] classes"
            )
    _write(out, folder, versions, given, dataset, scores=scores)
    return out


def _without_score_gates(described: Sequence[Described], dataset: Dataset) -> list[str]:
    """Why there are no gates on probabilities; empty where every version's can be judged."""
    lines = []
    for one in described:
        if not one.classes:
            lines.append(f"{one.version}: no gate on probabilities: it {one.classes_missing}")
        elif set(one.classes) != set(dataset.classes):
            lines.append(
                f"{one.version}: no gate on its probabilities, which are of {_named(one.classes)}, and the "
                f"labels are {_named(dataset.classes)}"
            )
    read = {tuple(one.classes): one.version for one in described if not one.classes_said}
    if len(read) > 1 and not lines:
        orders = "; ".join(f"{version}: {_named(classes)}" for classes, version in read.items())
        lines.append(f"no gate on probabilities, which stand in different orders ({orders}); export alike")
    return lines


def _features(one: Described) -> str:
    return counted(len(one.columns), "feature")


def _named(classes: Sequence[str]) -> str:
    more = f" and {len(classes) - _SHOWN} more" if len(classes) > _SHOWN else ""
    return f"{', '.join(classes[:_SHOWN])}{more}"


def _placed(given: Path, data: Path | None, say: Say) -> Path:
    """The folder of a model that was given as one file or as an MLflow folder."""
    if data is None:
        raise UsageError(f"{given}: is one model, with no evaluation set beside it; name that with --data")
    folder = Path(output_of(run_module(Path(sys.executable), "place", str(given))).strip())
    say(f"{given}: copied to {folder / 'v1'}; put the next version beside it as {folder / 'v2'}")
    return folder


def _evaluation_set(folder: Path) -> Path:
    for name in SETS:
        if (folder / name).is_file():
            return folder / name
    raise DatasetError(f"{folder}: no {' or '.join(SETS)} there; name the evaluation set with --data")


def _without_being_named(data: Data) -> tuple[str, ...] | None:
    """The columns that are sent where the experiment names none; None: another file may well have others."""
    try:
        dataset = Dataset.read(data.model_copy(update={"features": ()}))
    except DatasetError:
        return None
    return None if dataset.left_out else dataset.names


def _write(
    out: Path,
    folder: Path,
    versions: Sequence[str],
    data: Data,
    dataset: Dataset,
    *,
    scores: bool,
) -> None:
    name = folder.absolute().name
    parts: dict[str, Any] = {
        "model": {"name": name, "folder": str(folder)},
        "data": {
            "path": str(data.path),
            **({"label": data.label_column} if dataset.labelled else {}),
            **({"task": data.task} if data.task != "classification" else {}),
            **({"features": list(data.features)} if data.features != _without_being_named(data) else {}),
            **({"outputs": dict(data.outputs)} if data.outputs else {}),
            **({"classes": list(data.classes)} if data.classes else {}),
        },
        "versions": {"stable": versions[0], "candidate": versions[:2][-1]},
        "load": {"rate": _RATE, "duration": f"{_SECONDS}s"},
    }
    if not dataset.labelled:
        parts["gates"] = list(UNLABELLED_GATES)
    about = f"May the new version of {name} go live? docs/experiments.md lists every key and its default."
    if scores:
        rows = min(len(np.unique(dataset.content)), _RATE * _SECONDS)
        gates = score_gates(dataset, rows)
        parts["gates"] = [*DEFAULT_GATES, *(f"{gate} {margin}" for gate, margin in gates.items())]
        about += (
            f"\nThe margin{'s' * (len(gates) > 1)} on {' and '.join(gate.split()[0] for gate in gates)}: the "
            f"smallest that {rows:,} distinct rows should decide in most runs if both versions\n"
            "score alike. Smaller margins need more rows, and so do versions that score differently."
        )
    write_experiment(out, name, about, parts)
