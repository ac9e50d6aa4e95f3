"""The order of a classification's labels, in which samples have their scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contract.label_text import label_text
from loadtest.errors import DatasetError
from loadtest.experiment.experiment import Data

_YES = (("0", "1"), ("-1", "1"), ("false", "true"))


def is_yes_last(classes: Sequence[str]) -> bool:
    """Whether these are two classes of which the second says yes."""
    return tuple(classes) in _YES


def in_order(labels: Sequence[str]) -> tuple[str, ...]:
    """Distinct labels as scikit-learn orders its classes: numbers by size, all other text by its letters."""
    try:
        return tuple(sorted(labels, key=float))
    except ValueError:
        return tuple(sorted(labels))


def named_classes(labels: NDArray[np.str_] | NDArray[np.float64], data: Data) -> tuple[str, ...]:
    """The classes that an experiment names, as ``label_text`` writes them; none where it names none.

    Raises:
        DatasetError: one stands there twice, or a row has another label.
    """
    classes = tuple(map(label_text, data.classes))
    if len(set(classes)) < len(classes):
        raise DatasetError(f"[data] classes names a class twice: {', '.join(classes)}")
    others = sorted(set(labels.tolist()) - set(classes)) if classes else []
    if others:
        raise DatasetError(
            f"{data.path}: a row is labelled {others[0]!r}, which [data] classes does not name; add it there"
        )
    return classes
