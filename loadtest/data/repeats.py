"""Whether an evaluation set has rows enough to send none twice."""

from __future__ import annotations

import numpy as np

from contract.counted import counted
from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError

LOOKS = 20
"""Rows that are looked at before the load, and not sent in it."""


def check_rows_suffice(dataset: Dataset, rows: int) -> None:
    """Refuse an evaluation set that would have to repeat itself.

    ``rows`` are those that all workers send, the warm-up's included.

    Raises:
        DatasetError: there are too few rows, or some make the same request.
    """
    twice = len(dataset) - len(np.unique(dataset.request))
    if twice:
        raise DatasetError(
            f"{dataset.path}: {counted(twice, 'row')} with the features of another, and [data] repeats "
            "forbids to send a request twice; leave out such rows"
        )
    needed = rows + LOOKS
    if len(dataset) < needed:
        raise DatasetError(
            f"{dataset.path}: [data] repeats forbids to send a row twice, and {rows:,} rows to send (warm-up "
            f"included) and {LOOKS} looks before the load need {needed:,} rows; it has {len(dataset):,}: "
            "bring more rows, or lower the rate or the duration"
        )
