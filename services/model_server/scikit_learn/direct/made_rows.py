"""Rows of typed cells on which the direct way and the library are compared, made from the model itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.model_server.columns import Columns, column
from services.model_server.scikit_learn.estimators_in import estimators_in

ROWS, ODD_ROWS = 96, 24
_SEED = 20_240_229

_NUMBERS = (0.0, -0.0, 1.0, -1.0, 1e-300, 1e300, -1e300, 1e15, 3.5e38)
_TEXTS = (
    "",
    " ",
    "unseen",
    "Unseen\u00e9",
    "1",
    "\u00dcber\u00adall \u01c5 \ufb01 i\u0307 a\u0301, e-mail: a@b.c\n\t!",
    "unseen " * 40,
)

_SENTENCES, _WORDS = 60, 12
"""Texts of several words each, the most words of one."""


def made_rows(model: Any, examples: Columns) -> Iterator[Columns]:
    """Three lots: of known values, with gaps, and with unseen, huge and tiny values.

    They have the types of ``examples``.
    """
    rng = np.random.default_rng(_SEED)
    texts, numbers = _values(model)
    for rows, gaps, odd in ((ROWS, 0.0, 0.0), (ROWS, 0.15, 0.0), (ODD_ROWS, 0.05, 0.1)):
        arrays = {}
        for name, array in examples.arrays.items():
            cells = _cells(array, texts, numbers, rng, odd, rows)
            datatype = datatype_of(array)
            if gaps:
                cells = [None if rng.random() < gaps else cell for cell in cells]
            arrays[name] = column(cells, datatype)
        yield Columns(arrays)


def datatype_of(array: NDArray[Any]) -> str:
    """Of a column as ``Columns`` holds it."""
    if array.dtype == object:
        return "BOOL" if any(isinstance(cell, bool) for cell in array.tolist()) else "BYTES"
    return {"f": "FP64", "i": "INT64", "b": "BOOL"}[array.dtype.kind]


def _cells(
    array: NDArray[Any],
    texts: list[str],
    numbers: list[float],
    rng: np.random.Generator,
    odd: float,
    rows: int,
) -> list[Any]:
    """Two thirds from the examples, the rest from the model; ``odd`` of them unseen."""
    datatype = datatype_of(array)
    own = [cell for cell in array.tolist() if cell is not None and cell == cell]
    if datatype == "BYTES":
        others: list[Any] = texts
        strange: list[Any] = list(_TEXTS)
    elif datatype == "BOOL":
        others = strange = [True, False]
    else:
        others, strange = [*numbers], list(_NUMBERS)
        for number in numbers:
            others += [float(np.nextafter(number, -np.inf)), float(np.nextafter(number, np.inf))]
        if datatype == "INT64":
            others = [round(number) for number in others if abs(number) < 2**53]
            strange = [0, -1, 2**31, 2**53 - 1, -(2**53) + 1]
    own, others = own or others or strange, others or own or strange
    pick = rng.random(rows)
    return [
        _one(strange if p < odd else own if p < 0.66 else others, rng) for p in pick
    ]  # fmt: skip


def _one(values: list[Any], rng: np.random.Generator) -> Any:
    return values[int(rng.integers(len(values)))]


def _values(model: Any) -> tuple[list[str], list[float]]:
    """The texts and the finite numbers that the steps of a model have learnt."""
    texts: dict[str, None] = {}
    numbers: dict[float, None] = {}
    for part in estimators_in(model):
        if hasattr(part, "predict"):
            continue
        texts.update(
            dict.fromkeys(word for word in getattr(part, "vocabulary_", ()) if isinstance(word, str))
        )
        for value in vars(part).values():
            arrays = value if isinstance(value, list | tuple) else [value]
            for array in arrays:
                if not isinstance(array, np.ndarray) or array.size > 10_000:
                    continue
                for cell in array.ravel().tolist():
                    if isinstance(cell, str):
                        texts[cell] = None
                    elif isinstance(cell, int | float) and np.isfinite(cell):
                        numbers[float(cell)] = None
    return [*texts, *_sentences(model)], list(numbers)


def _sentences(model: Any) -> list[str]:
    """Texts of the words that vectorizers know, in any case, some twice."""
    rng = np.random.default_rng(_SEED)
    made = []
    for part in estimators_in(model):
        words = [word for word in getattr(part, "vocabulary_", ()) if isinstance(word, str)]
        for _ in range(_SENTENCES if words else 0):
            picked = [_one(words, rng) for _ in range(1 + int(rng.integers(_WORDS)))]
            made.append(" ".join([*picked, picked[0].upper(), *picked[1:3]]))
    return made
