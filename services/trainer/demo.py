"""What every demo is: labelled rows, and the fitted versions of one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from contract.model_toml import Columns, Input


@dataclass(frozen=True)
class Rows:
    """Labelled rows.

    Args:
        features: numbers or text by column; a cell that is missing is NaN, or None in text.
        labels: the true outcome, shape (rows,).
        others: further columns by name, shape (rows,) each: the value of a row. No model sees them.
    """

    features: pd.DataFrame
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
        input: what the versions take, the features in the model's order.
        label: the name of the label's column.
        training: rows that the versions were fitted on.
        evaluation: the evaluation set.
        versions: by name, in the order in which they are written.
    """

    input: Input | Columns
    label: str
    training: Rows
    evaluation: Rows
    versions: Mapping[str, Version]
