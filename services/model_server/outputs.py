"""The outputs of a version, read off its answers to rows that exist.

``predict`` is what gates, feedback and shadow answers are about: one label or number per row. A model that
gives several has an output for each of them beside it, under its own name, and ``output`` in ``model.toml``
says which of them ``predict`` is. Where it says nothing, that is the first. With ``output = "ranking"`` they
are no values but a ranked list, of which ``predict`` is the first item.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contract.model_toml import MODEL_TOML, Task
from contract.version_folder import EXAMPLES, version_folder
from services.model_server.columns import Rows
from services.model_server.errors import FailingRowsError, VersionError, one_line
from services.model_server.ranked import RANKING, are_lists, by_score, firsts, lists_of
from services.model_server.runtime import Run, Runtime
from services.model_server.tensors import TensorSpec

_DATATYPES = {"U": "BYTES", "O": "BYTES", "i": "INT64", "u": "INT64", "b": "BOOL", "f": "FP64"}
_PREDICT, PROBA = "predict", "predict_proba"


@dataclass(frozen=True)
class Outputs:
    """What a version gives.

    Args:
        specs: the output tensors by name, ``predict`` first.
        classes: the labels in the order of ``predict_proba``; None where they are not known.
        choices: what ``predict`` may be; empty where the model gives one value per row.
        chosen: which of them it is; empty likewise.
        of: from a runtime of the same model to its answers in the shapes and types in which they travel.
    """

    specs: Mapping[str, TensorSpec]
    classes: tuple[Any, ...] | None
    choices: tuple[str, ...]
    chosen: str
    of: Callable[[Runtime], Run]


class _Part(NamedTuple):
    """What an output is made of: a runtime's output, or the values of one place in its rows."""

    source: str
    place: int | None = None


def outputs_of(runtime: Runtime, examples: Rows, task: Task, wanted: str, path: Path) -> Outputs:
    """Try a model on its examples, and say what it gives.

    ``wanted`` is ``output`` of ``model.toml``; empty: the first.

    Raises:
        VersionError: it fails on them, gives what cannot be served, or has no such output.
    """
    own: tuple[str, ...] = getattr(runtime, "named", ())
    asked = frozenset([_PREDICT, *([PROBA] if runtime.has_proba else []), *own])
    raw, rows = _tried(runtime, examples, asked, path), len(examples)
    if RANKING not in own and (wanted == RANKING or (not wanted and are_lists(raw[_PREDICT]))):
        return _of_lists(raw[_PREDICT], rows, path)
    count = _values_per_row(raw[_PREDICT], rows, path)
    alone = [name for name in own if raw[name].size == rows]
    names = _value_names(runtime, count) if count > 1 or alone else []
    choices = (*names, *alone)
    if wanted and wanted not in choices:
        remedy = f"choose {' or '.join(choices)}" if choices else "delete the key: there is one value per row"
        raise VersionError(
            f"{version_folder(path) / MODEL_TOML}: output {wanted!r} is no output of the model; {remedy}"
        )
    chosen = wanted or next(iter(choices), "")
    if _PREDICT in names and chosen != _PREDICT and count > 1:
        raise VersionError(f"{path}: names one of its values predict, as the chosen one is named; rename it")
    parts = {_PREDICT: _Part(chosen) if chosen in alone else _Part(_PREDICT, _place(names, chosen, count))}
    if runtime.has_proba and chosen not in alone and _has_place(raw[PROBA], parts[_PREDICT], count):
        parts[PROBA] = _Part(PROBA, parts[_PREDICT].place)
    if count > 1 or chosen in alone:
        parts |= {name: _Part(_PREDICT, _place(names, name, count)) for name in names if name not in parts}
    parts |= {name: _Part(name) for name in own}
    arrays = {name: _array(raw, part, rows) for name, part in parts.items()}
    specs = {name: _spec(name, array, path) for name, array in arrays.items()}
    if task == "regression" and specs[_PREDICT].datatype != "FP64":
        raise VersionError(
            f"{path}: predicts {arrays[_PREDICT].dtype}, a regression predicts numbers; set task in "
            f"{MODEL_TOML}"
        )
    classes = _classes(runtime, parts, raw)
    if classes and len(classes) > 2 and PROBA in specs and RANKING not in specs:
        specs[RANKING] = _LISTS
        return Outputs(specs, classes, choices, chosen, lambda one: _ranked(_run(one, parts), classes))
    return Outputs(specs, classes, choices, chosen, lambda one: _run(one, parts))


_LISTS = TensorSpec(RANKING, "BYTES", (-1, -1))


def _of_lists(answers: NDArray[Any], rows: int, path: Path) -> Outputs:
    """Of a model whose answer to a row is a ranked list."""
    try:
        lists_of(answers, rows)
    except ValueError as error:
        raise VersionError(f"{path}: {error}, where output in {MODEL_TOML} is {RANKING!r}") from None

    def of(runtime: Runtime) -> Run:
        def run(rows: Rows, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
            lists = lists_of(_answers(runtime, rows, frozenset([_PREDICT]))[_PREDICT], len(rows))
            return {name: lists if name == RANKING else firsts(lists) for name in outputs}

        return run

    specs = {_PREDICT: TensorSpec(_PREDICT, "BYTES", (-1,)), RANKING: _LISTS}
    return Outputs(specs, None, (RANKING,), RANKING, of)


def _ranked(run: Run, classes: tuple[Any, ...]) -> Run:
    """The same, which ranks the classes where that is asked for."""

    def ranked(rows: Rows, outputs: frozenset[str]) -> Mapping[str, NDArray[Any]]:
        if RANKING not in outputs:
            return run(rows, outputs)
        results = run(rows, outputs - {RANKING} | {PROBA})
        return {**results, RANKING: by_score(results[PROBA], classes)}

    return ranked


def _tried(runtime: Runtime, examples: Rows, asked: frozenset[str], path: Path) -> Mapping[str, Any]:
    try:
        return _answers(runtime, examples, asked)
    except Exception as error:
        # whatever the model raises, it cannot serve
        if (version_folder(path) / EXAMPLES).exists():
            raise FailingRowsError(path, one_line(error)) from error
        raise VersionError(
            f"{path}: fails on a row of zeros of the input in model.toml ({one_line(error)}); "
            f"make them agree, or let `loadproof init {version_folder(path).parent}` write rows that exist "
            "beside it"
        ) from error


def _answers(runtime: Runtime, rows: Rows, outputs: frozenset[str]) -> Mapping[str, Any]:
    try:
        return runtime.run(rows, outputs)
    except SystemExit as error:
        # it would end the thread that runs the model, and every request would wait for it
        raise RuntimeError(f"the model's code calls sys.exit({error.code!r})") from error


def _run(runtime: Runtime, parts: Mapping[str, _Part]) -> Run:
    @lru_cache
    def sources(outputs: frozenset[str]) -> frozenset[str]:
        return frozenset(parts[name].source for name in outputs)

    def run(rows: Rows, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        results = _answers(runtime, rows, sources(outputs))
        return {name: _array(results, parts[name], len(rows)) for name in outputs}

    return run


def _array(results: Mapping[str, Any], part: _Part, rows: int) -> NDArray[Any]:
    """One output of all rows, as it travels."""
    array, place = results[part.source], part.place
    if part.source == PROBA:
        array = array.reshape(rows, -1) if place is None else _probabilities(array, place)
    elif part.source == _PREDICT:
        array = array.reshape(rows) if place is None else array[:, place]
        if array.dtype.kind == "O" and place is not None:
            # labels of several kinds side by side are objects
            array = np.array(array.tolist())
    made: NDArray[Any] = array.astype(np.float64, copy=False) if array.dtype.kind == "f" else array
    return made


def _probabilities(of_all: Any, place: int) -> NDArray[Any]:
    """Of one value's classes: from an array per value, or from the probability that each one is true."""
    if isinstance(of_all, list):
        return np.asarray(of_all[place])
    if of_all.ndim == 3:
        return np.asarray(of_all[:, place])
    return np.column_stack([1 - of_all[:, place], of_all[:, place]])


def _has_place(probabilities: Any, part: _Part, count: int) -> bool:
    """Whether there are probabilities of the chosen value, and not of something else."""
    if part.place is None:
        return True
    return len(probabilities) == count if isinstance(probabilities, list) else probabilities.shape[1] == count


def _classes(runtime: Runtime, parts: Mapping[str, _Part], raw: Mapping[str, Any]) -> tuple[Any, ...] | None:
    place = parts[_PREDICT].place
    if parts[_PREDICT].source != _PREDICT:
        return None
    if place is None:
        return tuple(runtime.classes) if runtime.classes else None
    if of_each := getattr(runtime, "value_classes", None):
        return tuple(of_each[place])
    return (0, 1) if PROBA in parts and not isinstance(raw[PROBA], list) and raw[PROBA].ndim == 2 else None


def _values_per_row(answers: NDArray[Any], rows: int, path: Path) -> int:
    if answers.size == rows:
        return 1
    if answers.ndim == 2 and len(answers) == rows and answers.shape[1] > 1:
        return int(answers.shape[1])
    raise VersionError(
        f"{path}: answers {rows} rows with an array of shape {list(answers.shape)}; one value, or one "
        "list of values, is needed for each row"
    )


def _value_names(runtime: Runtime, count: int) -> list[str]:
    names = list(getattr(runtime, "value_names", None) or ())
    if len(set(names)) == count and PROBA not in names:
        return names
    return [_PREDICT] if count == 1 else [f"{_PREDICT}_{place}" for place in range(count)]


def _place(names: list[str], name: str, count: int) -> int | None:
    return names.index(name) if count > 1 else None


def _spec(name: str, array: NDArray[Any], path: Path) -> TensorSpec:
    datatype = _DATATYPES.get(array.dtype.kind)
    if datatype is None or (array.dtype.kind == "O" and not isinstance(array.flat[0], str)):
        raise VersionError(f"{path}: gives {name} of type {array.dtype}; use text or numbers")
    return TensorSpec(name, datatype, (-1, *array.shape[1:]))
