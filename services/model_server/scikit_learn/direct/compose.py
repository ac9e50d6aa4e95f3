"""Steps made of steps: pipelines, column transformers, unions; and which module knows which transformer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import check_array

from services.model_server.scikit_learn.direct import encoding, imputation, scaling, selection
from services.model_server.scikit_learn.direct.step import Cells, Compile, NotDirect, Step


def compile_step(model: Any, width: int, name: str = "") -> Step:
    """The function of a fitted transformer.

    Args:
        model: the transformer, ``"passthrough"``, ``"drop"`` or None.
        width: how many cells it is given.
        name: of the step, for the reason.

    Raises:
        NotDirect: it, or a step in it, is not known here.
    """
    if model is None or (isinstance(model, str) and model == "passthrough"):
        return Step(list, width)
    known = _KNOWN.get(type(model))
    if known is None:
        raise NotDirect(f"the step {name!r} is a {type(model).__name__}, for which there is no direct way")
    if getattr(model, "_sklearn_output_config", {}).get("transform", "default") != "default":
        raise NotDirect(f"the step {name!r} gives frames of its own (set_output)")
    try:
        return known(model, width)
    except NotDirect as reason:
        raise NotDirect(str(reason).replace("this step", f"the step {name!r}")) from None


def _pipeline(model: Pipeline, width: int) -> Step:
    steps = []
    sparse = False
    for name, part in model.steps:
        passed = part is None or isinstance(part, str)
        if sparse and not passed and type(part) not in selection.KNOWN:
            raise NotDirect(f"the step {name!r} takes a sparse matrix")
        step = compile_step(part, width, name)
        width = step.width
        sparse = sparse or step.sparse
        steps.append(step.run)
    return Step(chained(steps), width, sparse)


def chained(runs: list[Callable[[Cells], list[Any]]]) -> Callable[[Cells], list[Any]]:
    """One function after the other."""
    if not runs:
        return list
    if len(runs) == 1:
        return runs[0]
    first, *others = runs

    def run(row: Cells) -> list[Any]:
        cells = first(row)
        for other in others:
            cells = other(cells)
        return cells

    return run


def _column_transformer(model: ColumnTransformer, width: int) -> Step:
    parts: list[tuple[Callable[[Cells], Any], Callable[[Cells], list[Any]]]] = []
    total = 0
    for name, part, columns in model.transformers_:
        places = [int(place) for place in model._transformer_to_input_indices[name]]
        if (isinstance(part, str) and part == "drop") or not places:
            continue
        if max(places) >= width:
            raise NotDirect(f"the step {name!r} takes a column that is not there")
        if isinstance(columns, str | int):
            raise NotDirect(f"the step {name!r} takes a single series")
        step = compile_step(part, len(places), name)
        weight = (model.transformer_weights or {}).get(name)
        parts.append((_take(places), step.run if weight is None else _weighted(step.run, weight)))
        total += step.width

    def run(row: Cells) -> list[Any]:
        cells: list[Any] = []
        for take, step in parts:
            cells += step(take(row))
        return cells

    return Step(run, total, bool(getattr(model, "sparse_output_", False)))


def _take(places: list[int]) -> Callable[[Cells], Any]:
    if len(places) > 1:
        return itemgetter(*places)
    place = places[0]
    return lambda row: (row[place],)


def _weighted(run: Callable[[Cells], list[Any]], weight: float) -> Callable[[Cells], list[Any]]:
    return lambda row: [cell * weight for cell in run(row)]


def _union(model: FeatureUnion, width: int) -> Step:
    runs = []
    total = 0
    sparse = False
    for name, part in model.transformer_list:
        if isinstance(part, str) and part == "drop":
            continue
        step = compile_step(part, width, name)
        weight = (model.transformer_weights or {}).get(name)
        runs.append(step.run if weight is None else _weighted(step.run, weight))
        total += step.width
        sparse = sparse or step.sparse

    def run(row: Cells) -> list[Any]:
        return [cell for step in runs for cell in step(row)]

    return Step(run, total, sparse)


def _function(model: FunctionTransformer, width: int) -> Step:
    if model.func is None:
        return Step(list, width)
    function = model.func
    if isinstance(function, partial) and function.func is check_array:
        # boosting over histograms looks at its own numbers so
        return Step(list, width)
    if not isinstance(function, np.ufunc) or function.nin != 1 or function.nout != 1 or model.kw_args:
        raise NotDirect("this step calls a function that is not one of NumPy's for one number")

    def run(row: Cells) -> list[Any]:
        return function(np.array(row, np.float64)).tolist()  # type: ignore[no-any-return]

    return Step(run, width)


_KNOWN: dict[type, Compile] = {
    Pipeline: _pipeline,
    ColumnTransformer: _column_transformer,
    FeatureUnion: _union,
    FunctionTransformer: _function,
    **imputation.KNOWN,
    **encoding.KNOWN,
    **scaling.KNOWN,
    **selection.KNOWN,
}
