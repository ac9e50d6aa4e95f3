"""A whole model on rows of typed cells, and the proof that it answers as the library does.

Proved when a version is loaded, on three kinds of rows: ``examples.parquet``; rows of cells made from the
examples, the model's own categories and numbers, gaps and unseen values; and, for the last step alone, rows
at its thresholds. A row that the library refuses must be refused here, which hands it to the library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from services.model_server.columns import Columns
from services.model_server.scikit_learn.direct import combining
from services.model_server.scikit_learn.direct.made_rows import datatype_of, made_rows
from services.model_server.scikit_learn.direct.model import compile_model
from services.model_server.scikit_learn.direct.sparse_rows import to_entries
from services.model_server.scikit_learn.direct.step import LABELS, Cells, Kind, NotDirect, Step, Unsure
from services.model_server.scikit_learn.frames import fitted_on_none
from services.model_server.scikit_learn.sample_rows import ROWS, sample_rows
from services.model_server.tensors import TensorSpec

MAX_ROWS = 256
"""Of more rows the library takes less time for each."""

TOLERANCE = 1e-6
"""How far a probability (absolute) or a value (relative, and absolute below 1) may be off."""

_TRIES = 20
"""The most times that the library is asked for made rows, each of which costs up to 40 ms."""

_ALONE = 4
"""The examples that are compared alone as well: the library may go another way for one row."""

_LAST_CELLS = 400_000
"""The most cells of the rows at the thresholds of the last step."""

Results = dict[str, NDArray[Any]]
Run = Callable[[Columns, frozenset[str]], Results]


class DirectPipeline:
    """A fitted model as functions on cells.

    Args:
        examples: rows of the columns that it takes.
        onnx: whether ONNX Runtime may be used for its trees.

    Raises:
        NotDirect: a step is not known.
    """

    def __init__(self, model: Any, examples: Columns, *, onnx: bool) -> None:
        width = len(examples.arrays)
        # of a model that was fitted on None: which columns are text, whose missing cells stay None
        self._texts = [datatype_of(array) == "BYTES" for array in examples.arrays.values()]
        self._keeps_none = fitted_on_none(model)
        # a vectorizer of texts says nothing of features, and is given a series
        features = [getattr(model, name, None) for name in ("feature_names_in_", "n_features_in_")]
        kind = Kind.TEXT if width == 1 and features == [None, None] else Kind.CELLS
        self._model = compile_model(model, Step(list, width), kind, onnx=onnx)

    def run(self, rows: Columns, outputs: frozenset[str]) -> Results:
        """Answer rows.

        Raises:
            Exception: of any kind; the library must answer.
        """
        if len(rows) > MAX_ROWS:
            raise Unsure
        cells = _rows_with_none(rows, self._texts) if self._keeps_none else rows_of(rows)
        results = self._model.run(cells, outputs)
        return {name: results[name] for name in outputs}

    def run_with(self, rows: Columns, outputs: frozenset[str], original: Run) -> Results:
        """Answer rows; those that are not answered here go through ``original`` together.

        Raises:
            Exception: whatever ``original`` raises for these.
        """
        try:
            return self.run(rows, outputs)
        except Exception:
            # whatever it is that the direct way does not know, the library does, or says what is wrong
            if len(rows) == 1 or len(rows) > MAX_ROWS:
                return original(rows, outputs)
        numbers: list[int] = []
        parts: list[Results] = []
        others: list[int] = []
        for number in range(len(rows)):
            try:
                parts.append(self.run(rows[number : number + 1], outputs))
                numbers.append(number)
            except Exception:
                others.append(number)
        if not numbers:
            return original(rows, outputs)
        if others:
            parts.append(original(rows.take(others), outputs))
        order = np.argsort([*numbers, *others])
        return {name: np.concatenate([part[name] for part in parts])[order] for name in outputs}

    def check_last_step(self, names: frozenset[str]) -> None:
        """Compare the last step alone, on rows at its thresholds.

        Raises:
            NotDirect: it does not agree.
        """
        before, last, answer = self._model
        # a model of models is given what its members take, which may be the columns
        if getattr(last, "_preprocessor", None) is not None or type(last) in combining.KNOWN:
            return
        # of a large vocabulary's width they would take more memory than the model
        number = min(ROWS, _LAST_CELLS // before.width)
        if number < 16:
            return
        rows = sample_rows(last, TensorSpec("rows", "FP64", (-1, before.width)), number)
        for part in (rows, *np.split(rows[:16], 16)):
            given: Any = [to_entries(row) for row in part.tolist()] if before.entries else part
            try:
                got = answer(given, names)
                theirs = csr_matrix(part) if before.sparse else part
                wanted = {name: np.asarray(getattr(last, name)(theirs)) for name in names}
            except Unsure:
                continue
            if problem := difference(got, wanted, names):
                raise NotDirect(f"its last step, a {type(last).__name__}, {problem}")


def rows_of(rows: Columns) -> list[Cells]:
    """Cells by row, NaN where one is missing."""
    columns = [
        [np.nan if cell is None else cell for cell in cells] if None in cells else cells
        for cells in rows.cells
    ]
    return list(zip(*columns, strict=True))


def _rows_with_none(rows: Columns, texts: Sequence[bool]) -> list[Cells]:
    """Cells by row, None where text is missing, and NaN where a number is."""
    # among truth values an imputer would take None for the mean, where the library has it
    if any(None in cells for cells, text in zip(rows.cells, texts, strict=True) if not text):
        raise Unsure
    return list(zip(*rows.cells, strict=True))


def direct_pipeline(
    model: Any, examples: Columns, original: Run, names: frozenset[str], *, onnx: bool
) -> DirectPipeline:
    """The direct way for a model, compared with its original.

    ``original`` is the library's way, and ``names`` are of all outputs.

    Raises:
        NotDirect: there is none, or it does not agree.
    """
    made = DirectPipeline(model, examples, onnx=onnx)
    _check(made, examples, original, names, whole=True)
    budget = [_TRIES]
    for rows in made_rows(model, examples):
        _check_halves(made, rows, original, names, budget)
    alone = [examples[number : number + 1] for number in range(min(_ALONE, len(examples)))]
    answered = sum(_check(made, row, original, names, whole=True) for row in alone)
    if not answered:
        raise NotDirect("its direct way leaves the examples to scikit-learn")
    made.check_last_step(names)
    return made


def _check_halves(
    made: DirectPipeline, rows: Columns, original: Run, names: frozenset[str], budget: list[int]
) -> None:
    """Compare rows of which the library may refuse some, and with them all that are given along."""
    if budget[0] <= 0:
        return
    budget[0] -= 1
    if _check(made, rows, original, names, whole=False) or len(rows) == 1:
        return
    middle = len(rows) // 2
    _check_halves(made, rows[:middle], original, names, budget)
    _check_halves(made, rows[middle:], original, names, budget)


def _check(made: DirectPipeline, rows: Columns, original: Run, names: frozenset[str], *, whole: bool) -> bool:
    """Whether both answered.

    Raises:
        NotDirect: the answers differ, one is given to what the library refuses, or none to an example.
    """
    # who asks for labels alone may get them by a shorter way
    tried = [(asked, _answers(made, rows, asked, whole=whole)) for asked in (names, LABELS)]
    try:
        wanted = original(rows, names)
    except Exception as error:
        if any(got is not None for _, got in tried):
            raise NotDirect("its direct way answers what scikit-learn refuses") from error
        return False
    for asked, got in tried:
        if got is not None and (problem := difference(got, wanted, asked)):
            raise NotDirect(f"its direct way {problem}")
    return all(got is not None for _, got in tried)


def _answers(made: DirectPipeline, rows: Columns, asked: frozenset[str], *, whole: bool) -> Results | None:
    """What the direct way answers; None: it leaves these rows to the library.

    Raises:
        NotDirect: it is not unsure of the ``whole``, and fails.
    """
    try:
        return made.run(rows, asked)
    except Exception as error:
        # what is refused here is the library's to answer, but not all that exists
        if whole and not isinstance(error, Unsure):
            raise NotDirect(f"its direct way fails on the examples ({type(error).__name__})") from error
        return None


def difference(got: Results, wanted: Results, names: Sequence[str] | frozenset[str]) -> str:
    """How answers differ, as the end of a sentence; empty: they do not."""
    for name in names:
        one, other = got[name], wanted[name]
        if one.shape != other.shape or one.dtype.kind != other.dtype.kind:
            return "gives answers of another shape or type"
        if other.dtype.kind == "f":
            off = np.abs(one - other)
            near = (off <= TOLERANCE * np.maximum(1, np.abs(other))) & (off < np.inf)
            # of equal infinities the difference is NaN
            if not (near | (one == other)).all():
                return f"is off by {np.fmax.reduce(off.ravel()):.1g}"
        elif (one != other).any():
            return "gives other labels"
    return ""
