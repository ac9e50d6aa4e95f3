"""The rows that ``loadproof init`` tries each version on, and how good the answers to them are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract.counted import counted
from contract.label_text import label_text
from contract.model_toml import MODEL_TOML
from contract.text_columns import MISSING
from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError
from loadtest.workflows.new_experiment import have_decimals

ROWS = 1_000
"""On so many rows each version is tried."""


def tried_rows(dataset: Dataset) -> list[int]:
    """The rows to try: of each column ``NA``, a missing cell, and one that is not; then the first ones."""
    words, rows = list[int](), set[int]()
    for cells in dataset.sent.columns:
        missing = cells.is_null()
        rows.update(pc.index(missing, there).as_py() for there in (True, False))
        if pa.types.is_string(cells.type):
            words.append(pc.index(pc.is_in(cells, pa.array(MISSING)), True).as_py())
    # what comes first is kept as an example
    found = [row for row in dict.fromkeys((*words, *sorted(rows))) if row != -1]
    first = min(ROWS, len(dataset))
    return list(dict.fromkeys((*found, *range(first))))[: max(first, len(found))]


def quality(
    version: str, task: str, predictions: Sequence[Any], dataset: Dataset, tried: Sequence[int]
) -> str:
    """How good the answers to the tried rows are, in words.

    Raises:
        DatasetError: no answer can ever equal a label.
    """
    of = counted(len(tried), "row")
    if not dataset.labelled:
        return f"gave {counted(len(predictions), 'answer')}, such as {predictions[0]!r}"
    labels = dataset.labels[list(tried)]
    if task == "regression":
        off = np.abs(np.asarray(labels, dtype=np.float64) - np.asarray(predictions))
        if not np.isfinite(off).all():
            row = tried[int(np.flatnonzero(~np.isfinite(off))[0])]
            answer = predictions[list(tried).index(row)]
            raise DatasetError(
                f"{dataset.path}: {version} answers {answer} to row {row}, which no metric can hold against "
                f"the label {dataset.labels[row]}; correct the row or the model"
            )
        return f"off by {off.mean():.4g} on average of {of}"
    answers = [label_text(answer) for answer in predictions]
    relevant = dataset.relevant
    known = set(dataset.labels.tolist() if relevant is None else relevant.catalogue.to_pylist())
    if set(answers) <= {"-1", "1"} and "-1" in answers and known == {"0", "1"}:
        raise DatasetError(
            f"{dataset.path}: {version} answers -1 (an anomaly) and 1, the labels read 0 and 1; write "
            "labels as the model does"
        )
    if not set(answers) & known:
        given, read = (", ".join(repr(text) for text in sorted(set(some))[:3]) for some in (answers, known))
        # of an ONNX file that gives several numbers, nobody can know whether they are scores of classes
        or_else = f', or task = "regression" into its {MODEL_TOML}' if have_decimals(known) else ""
        raise DatasetError(
            f"{dataset.path}: {version} answers {given}, the labels read {read}; "
            f"write labels as the model does{or_else}"
        )
    wanted = [(label,) for label in labels.tolist()] if relevant is None else relevant.of_rows(tried)
    right = sum(answer in items for answer, items in zip(answers, wanted, strict=True))
    return f"right on {right / len(tried):.1%} of {of}"
