"""What every demo is: labelled rows, and the fitted versions of one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Rows:
    """Labelled rows.

    Args:
        features: float64, shape (rows, columns of the demo).
        labels: the true outcome, shape (rows,).
        others: further columns by name, shape (rows,) each: the value of a row, slices. No model sees them.
    """

    features: NDArray[np.float64]
    labels: NDArray[Any]
    others: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class Version:
    """A fitted scikit-learn classifier, how it differs from its siblings, and whether to compile it."""

    classifier: Any
    description: str
    compile: bool = True


@dataclass(frozen=True)
class Demo:
    """One model in several versions, the rows that they were trained on, and rows that none of them saw.

    Args:
        columns: the names of the features, in order.
        label: the name of the label's column.
        training: rows that the versions were fitted on.
        evaluation: the evaluation set.
        versions: by name, in the order in which they are written.
    """

    columns: tuple[str, ...]
    label: str
    training: Rows
    evaluation: Rows
    versions: Mapping[str, Version]
