"""The trees of XGBoost's and LightGBM's own files, without what their libraries do for every request.

One row through a data frame and ``predict`` takes them about a millisecond; the trees, as one ensemble of
ONNX Runtime (``scikit_learn.direct.boosters``), take some tens of microseconds with all that is around them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.version_folder import version_folder
from services.model_server.columns import Columns, Rows
from services.model_server.errors import one_line
from services.model_server.examples import read_examples
from services.model_server.tensors import Input

Answers = dict[str, NDArray[Any]]
Library = Callable[[Rows, frozenset[str]], Answers]

MOST_ROWS = 256
"""Of more rows the library takes less time for each."""
_MADE, _GAPS = 96, 0.15
_SEED = 20_240_229


class OnNumbers:
    """A booster on rows of numbers.

    ``head`` answers a matrix of shape (rows, features); ``original`` is the library's way.
    """

    def __init__(
        self, head: Callable[[NDArray[np.float64], frozenset[str]], Answers], original: Library
    ) -> None:
        self._head = head
        self._original = original

    def run(self, rows: Rows, outputs: frozenset[str]) -> Answers:
        """Answer rows; those that are not answered here go through the library, whatever it raises."""
        if len(rows) <= MOST_ROWS:
            try:
                with np.errstate(all="ignore"):
                    answers = self._head(_matrix(rows), outputs)
                return {name: answers[name] for name in outputs}
            except Exception:  # noqa: S110 - what this way does not know, the library does
                pass
        return self._original(rows, outputs)


def on_numbers(
    model: Any, kind: str, path: Path, given: Input, original: Library, names: frozenset[str]
) -> tuple[OnNumbers | None, str]:
    """The booster without its library, compared with it on the examples; None, and why there is none.

    Args:
        model: an estimator of XGBoost's or LightGBM's, or what ``boosters.KNOWN`` asks of one.
        kind: module and class of such an estimator.
        path: the model file, beside the examples.
        given: the input of ``model.toml``.
        original: the library's way, which takes a matrix, too.
        names: all outputs.
    """
    if isinstance(given, tuple) and any(spec.datatype == "BYTES" for spec in given):
        return None, "it takes text"
    # imported late: scikit-learn and ONNX Runtime, of which a model of categories needs neither
    from services.model_server.scikit_learn.direct import boosters
    from services.model_server.scikit_learn.direct.pipeline import TOLERANCE, difference
    from services.model_server.scikit_learn.direct.step import NotDirect

    if kind not in boosters.KNOWN:
        return None, f"there is no direct way for a {kind.rpartition('.')[2]}"
    try:
        head = boosters.KNOWN[kind](model, sparse=False, onnx=True)
        examples = read_examples(version_folder(path), given, None)
        with np.errstate(all="ignore"):
            for rows in (examples, examples[:1], *_made(_matrix(examples))):
                wanted = {name: np.asarray(value) for name, value in original(rows, names).items()}
                if problem := difference(head(_matrix(rows), names), wanted, names):
                    return None, f"its direct way {problem}"
    except NotDirect as reason:
        return None, str(reason)
    except Exception as error:
        # another release of the library may have other attributes; it serves all the same
        return None, f"it has no direct way ({one_line(error)})"
    return OnNumbers(head, original), f"labels equal the library's, numbers within {TOLERANCE:g}"


def _matrix(rows: Rows) -> NDArray[np.float64]:
    """Rows as a matrix, shape (rows, features).

    Raises:
        TypeError: a truth value is missing, of which the library decides.
    """
    if not isinstance(rows, Columns):
        return rows.astype(np.float64)
    if any(None in cells for cells in rows.cells):
        raise TypeError("a truth value is missing")
    return np.array(list(zip(*rows.cells, strict=True)), np.float64)


def _made(examples: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Rows of cells of the examples, mixed, with gaps, and with small steps beside them."""
    rng = np.random.default_rng(_SEED)
    picked = rng.integers(len(examples), size=(_MADE, examples.shape[1]))
    mixed = np.take_along_axis(examples, picked, axis=0)
    yield mixed
    yield np.where(rng.random(mixed.shape) < _GAPS, np.nan, mixed)
    yield np.nextafter(mixed.astype(np.float32), np.float32(np.inf)).astype(np.float64)
    yield mixed * rng.normal(1, 1, mixed.shape)
