"""The last step alone: rows of the cells, or entries, that it is given to labels, probabilities or values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.model_server.scikit_learn import plain_numpy
from services.model_server.scikit_learn.direct import boosters, kernels, linear, trees
from services.model_server.scikit_learn.direct.sparse_rows import to_matrix
from services.model_server.scikit_learn.direct.step import NotDirect, Step, Unsure
from services.model_server.scikit_learn.direct.tree_ensemble import Matrix
from services.model_server.scikit_learn.direct.trees import Head
from services.model_server.tensors import every

Answer = Callable[[Sequence[Any], frozenset[str]], dict[str, NDArray[Any]]]
"""(rows as the step before gives them, names of outputs) to an array per output; what it raises, the
library answers. The names may hold ``decision_function``."""


def compile_head(model: Any, given: Step, *, onnx: bool) -> Answer:
    """What answers rows of the last step's input, finite or NaN.

    ``given`` is the step before it. ``onnx``: ONNX Runtime may be used.

    Raises:
        NotDirect: it is not known here.
    """
    kind = type(model).__name__
    try:
        if type(model) in linear.KINDS and given.sparse:
            known = linear.linear(model)
            if given.entries:
                return linear.on_entries(known)
            if one := linear.one_on_cells(known):
                return one
        head, gaps = _compile(model, given.sparse, onnx)
    except NotDirect as reason:
        raise NotDirect(f"the {kind} stays with scikit-learn: {reason}") from None
    # scikit-learn's own trees take no gaps in a sparse matrix, the boosting libraries do
    gaps = gaps and (not given.sparse or boosters.name_of(model) in boosters.KNOWN)
    width = given.width if given.entries else None

    def run(rows: Sequence[Any], outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        matrix: Matrix = np.array(rows, np.float64) if width is None else to_matrix(rows, width)
        if not gaps and not every(np.isfinite(matrix)):
            raise Unsure
        return head(matrix, outputs)

    return run


def _compile(model: Any, sparse: bool, onnx: bool) -> tuple[Head, bool]:
    """The head, and whether it takes NaN."""
    if type(model) in linear.KINDS:
        known = linear.linear(model)
        return (linear.on_sparse if sparse else linear.on_dense)(known), False
    if type(model) in kernels.KNOWN:
        if sparse:
            raise NotDirect("it takes a sparse matrix")
        return kernels.KNOWN[type(model)](model), False
    if booster := boosters.KNOWN.get(boosters.name_of(model)):
        return booster(model, sparse=sparse, onnx=onnx), True
    if onnx and type(model) in trees.FORESTS:
        return trees.forest(model), True
    if onnx and type(model) in trees.BOOSTING:
        return trees.boosting(model), False
    if type(model) in trees.HISTOGRAMS:
        if sparse:
            raise NotDirect("boosting over histograms takes no sparse matrix")
        if onnx:
            return trees.histograms(model), True
    head = plain_numpy.direct(model)
    if head is None:
        raise NotDirect("there is no direct way for it" if onnx else "compilation is switched off")
    return head, False
