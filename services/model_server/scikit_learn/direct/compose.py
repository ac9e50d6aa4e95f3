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

from services.model_server.scikit_learn.direct import (
    encoding,
    expansion,
    imputation,
    on_entries,
    scaling,
    selection,
    text,
)
from services.model_server.scikit_learn.direct.sparse_rows import as_cells, as_entries, side_by_side
from services.model_server.scikit_learn.direct.step import Cells, Compile, Kind, NotDirect, Step


def compile_step(model: Any, width: int, name: str = "", kind: Kind = Kind.CELLS) -> Step:
    """The function of a fitted transformer.

    ``model`` may be ``"passthrough"``, ``"drop"`` or None. It is given ``width`` cells of ``kind``; the
    reason names it by ``name``.

    Raises:
        NotDirect: it, or a step in it, is not known here.
    """
    if kind is not Kind.TEXT and (model is None or (isinstance(model, str) and model == "passthrough")):
        return Step(list if kind is Kind.CELLS else _same, width, *[kind is Kind.ENTRIES] * 2)
    known = _KNOWN[kind].get(type(model))
    composed = _COMPOSED.get(type(model))
    if known is None and composed is None:
        raise NotDirect(f"the step {name!r} {_not_known(model, kind)}")
    if getattr(model, "_sklearn_output_config", {}).get("transform", "default") != "default":
        raise NotDirect(f"the step {name!r} gives frames of its own (set_output)")
    try:
        return composed(model, width, kind) if composed else known(model, width)  # type: ignore[misc]
    except NotDirect as reason:
        raise NotDirect(str(reason).replace("this step", f"the step {name!r}")) from None


def _not_known(model: Any, kind: Kind) -> str:
    if kind is Kind.ENTRIES:
        return "takes a sparse matrix"
    if kind is Kind.TEXT:
        return "takes a single series"
    if type(model) in text.KNOWN:
        return "takes texts, not a frame"
    return f"is a {type(model).__name__}, for which there is no direct way"


def _pipeline(model: Pipeline, width: int, kind: Kind) -> Step:
    made = Step(_same, width, *[kind is Kind.ENTRIES] * 2)
    runs: list[Callable[[Any], Any]] = []
    for name, part in model.steps:
        if part is None or (isinstance(part, str) and part == "passthrough"):
            continue
        if made.sparse and not made.entries:
            made = as_entries(made._replace(run=chained(runs)))
            runs = [made.run]
        made = compile_step(part, made.width, name, Kind.ENTRIES if made.entries else kind)
        kind = Kind.CELLS
        runs.append(made.run)
    if kind is Kind.TEXT:
        raise NotDirect("this step takes a single series")
    return made._replace(run=chained(runs))


def chained(runs: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """One function after the other."""
    if not runs:
        return _same
    if len(runs) == 1:
        return runs[0]
    first, *others = runs

    def run(row: Any) -> Any:
        cells = first(row)
        for other in others:
            cells = other(cells)
        return cells

    return run


def _same(row: Any) -> Any:
    return row


def _column_transformer(model: ColumnTransformer, width: int, kind: Kind) -> Step:
    if kind is not Kind.CELLS:
        raise NotDirect("this step takes no frame")
    parts: list[tuple[Callable[[Cells], Any], Step]] = []
    for name, part, columns in model.transformers_:
        places = [int(place) for place in model._transformer_to_input_indices[name]]
        if (isinstance(part, str) and part == "drop") or not places:
            continue
        if max(places) >= width:
            raise NotDirect(f"the step {name!r} takes a column that is not there")
        single = Kind.TEXT if isinstance(columns, str | int) else Kind.CELLS
        step = _weighted(compile_step(part, len(places), name, single), model.transformer_weights, name)
        parts.append((_take(places), step))
    made = _beside(parts)
    if getattr(model, "sparse_output_", False):
        return made._replace(sparse=True)
    return as_cells(made)


def _beside(parts: list[tuple[Callable[[Any], Any], Step]]) -> Step:
    """Steps that are run on the same row, their results one after the other."""
    if any(step.entries for _, step in parts):
        return side_by_side(parts)
    runs = [(take, step.run) for take, step in parts]

    def run(row: Cells) -> list[Any]:
        cells: list[Any] = []
        for take, step in runs:
            cells += step(take(row))
        return cells

    return Step(run, sum(step.width for _, step in parts), any(step.sparse for _, step in parts))


def _take(places: list[int]) -> Callable[[Cells], Any]:
    if len(places) > 1:
        return itemgetter(*places)
    place = places[0]
    return lambda row: (row[place],)


def _weighted(step: Step, weights: dict[str, float] | None, name: str) -> Step:
    weight = (weights or {}).get(name)
    if weight is None:
        return step
    plain = step.run
    if not step.entries:
        return step._replace(run=lambda row: [cell * weight for cell in plain(row)])

    def run(row: Any) -> Any:
        places, values = plain(row)
        return places, [value * weight for value in values]

    return step._replace(run=run)


def _union(model: FeatureUnion, width: int, kind: Kind) -> Step:
    return _beside(
        [
            (_same, _weighted(compile_step(part, width, name, kind), model.transformer_weights, name))
            for name, part in model.transformer_list
            if not (isinstance(part, str) and part == "drop")
        ]
    )


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


_COMPOSED: dict[type, Callable[[Any, int, Kind], Step]] = {
    Pipeline: _pipeline,
    ColumnTransformer: _column_transformer,
    FeatureUnion: _union,
}
_KNOWN: dict[Kind, dict[type, Compile]] = {
    Kind.CELLS: {
        FunctionTransformer: _function,
        **imputation.KNOWN,
        **encoding.KNOWN,
        **scaling.KNOWN,
        **expansion.KNOWN,
        **selection.KNOWN,
    },
    Kind.TEXT: text.KNOWN,
    Kind.ENTRIES: on_entries.KNOWN,
}
