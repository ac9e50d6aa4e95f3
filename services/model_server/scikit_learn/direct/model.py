"""A whole fitted model: its steps one after the other, and what answers at their end."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline

from services.model_server.scikit_learn.direct import combining
from services.model_server.scikit_learn.direct.compose import chained, compile_step
from services.model_server.scikit_learn.direct.head import Answer, compile_head
from services.model_server.scikit_learn.direct.sparse_rows import as_entries
from services.model_server.scikit_learn.direct.step import Kind, NotDirect, Step
from services.model_server.scikit_learn.direct.trees import HISTOGRAMS

_AROUND: dict[type, str] = {GridSearchCV: "best_estimator_", RandomizedSearchCV: "best_estimator_"}
"""What hands every row on to a model in it, and where that is."""

# a version's own scikit-learn may be older than 1.6
with contextlib.suppress(ImportError):
    from sklearn.frozen import FrozenEstimator

    _AROUND[FrozenEstimator] = "estimator"


class Compiled(NamedTuple):
    """A model in two parts.

    Args:
        before: everything but the last step.
        last: the last step of the model.
        answer: what answers rows of ``before``.
    """

    before: Step
    last: Any
    answer: Answer

    def run(self, rows: Sequence[Any], outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        """Answer rows of the cells, or of what else the model was compiled for."""
        row = self.before.run
        return self.answer([row(cells) for cells in rows], outputs)


def compile_model(model: Any, given: Step, kind: Kind, *, onnx: bool) -> Compiled:
    """The functions of a fitted model.

    ``given`` comes before it, and its ``run`` is not run; ``kind`` is what the model is given of a row.
    ``onnx``: ONNX Runtime may be used for its trees.

    Raises:
        NotDirect: a step is not known.
    """
    steps: list[tuple[str, Any]] = [("model", model)]
    while True:
        last = steps[-1][1]
        if type(last) is Pipeline:
            steps[-1:] = last.steps
        elif type(last) in _AROUND:
            steps[-1] = (steps[-1][0], getattr(last, _AROUND[type(last)]))
        else:
            break
    before = given._replace(run=chained([]))
    if len(steps) > 1:
        before = compile_step(Pipeline(steps[:-1]), given.width, "model", kind)
    if isinstance(last, HISTOGRAMS) and getattr(last, "_preprocessor", None) is not None:
        inner = compile_step(last._preprocessor, before.width, "model")
        before = inner._replace(run=chained([before.run, inner.run]), sparse=before.sparse)
    if (combine := combining.KNOWN.get(type(last))) is None:
        return Compiled(before, last, compile_head(last, before, onnx=onnx))
    if before.sparse:
        before = as_entries(before)

    def member(one: Any, given: Step, kind: Kind) -> Answer:
        return compile_model(one, given, kind, onnx=onnx).run

    inner_kind = Kind.ENTRIES if before.entries else Kind.CELLS if len(steps) > 1 else kind
    try:
        return Compiled(before, last, combine(last, before, inner_kind, member))
    except NotDirect as reason:
        if "stays with" in str(reason) or "the step" in str(reason):
            raise
        raise NotDirect(f"the {type(last).__name__} stays with scikit-learn: {reason}") from None
