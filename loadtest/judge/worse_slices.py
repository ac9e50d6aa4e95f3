"""Where is it worse? Slices by one or two columns on which the candidate does worse. Shown, never judged.

A text column is cut by its most frequent values, a numeric one by its values where there are few, else into
four parts of about as many rows. See ``loadtest.stats.slice_search`` for what counts as found.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtest.data.dataset import Dataset
from loadtest.data.sample_cells import as_floats
from loadtest.experiment.experiment import Data
from loadtest.judge.outcomes import Floats, Outcomes, Places, first_places
from loadtest.judge.quality_tests import LARGEST
from loadtest.judge.run import Run
from loadtest.judge.verdict import SliceSearch, WorseSlice
from loadtest.stats import slice_search
from loadtest.stats.slice_search import FEWEST, Codes

MOST_VALUES = 12
"""Of a text column, as levels; the rarer ones are in no slice."""
MOST_NUMBERS = 8
"""A numeric column with more different values is cut into parts."""
PARTS = 4
MOST_COLUMNS = 1000
SAME_ERROR = 1e-5
"""Errors of a regression that differ by less than this share of the labels' standard deviation are equal:
single precision may make so much of the same model."""


class Levels(NamedTuple):
    """One column: each row's level, -1 for none, shape (rows,), and the levels' names."""

    codes: Codes
    names: tuple[str, ...]


def search_slices(run: Run) -> SliceSearch:
    """Search all slices of a run for those on which the candidate is worse."""
    evidence, dataset = run.evidence, run.dataset
    if not dataset.labelled:
        return SliceSearch(skipped="the evaluation set has no labels")
    if not evidence.paired:
        return SliceSearch(skipped="each request went to one version, so no row says which did better")
    if not len(evidence.stable):
        return SliceSearch(skipped="there are no samples")
    rows, first = first_places(evidence.stable.row, len(dataset.content), dataset.content)
    losses = [_losses(run, outcomes, first) for outcomes in (evidence.stable, evidence.candidate)]
    columns = levels_of(run.experiment.data, dataset, rows)
    classes = run.experiment.data.task == "classification"
    same = 0.0 if classes else SAME_ERROR * float(np.std(np.asarray(dataset.labels, dtype=np.float64)))
    moved = losses[1] - losses[0]
    sign = np.where(np.abs(moved) <= same, 0, np.sign(moved)).astype(np.int8)
    codes = [column.codes for column in columns]
    result = slice_search.search(codes, sign)
    found = []
    for one in result.found:
        inside = slice_search.rows_of(one, codes)
        stable, candidate = (float(loss[inside].mean()) for loss in losses)
        if candidate <= stable:  # worse on more rows, and yet by less
            continue
        if classes:
            stable, candidate = 1 - stable, 1 - candidate
        name = " and ".join(columns[column].names[level] for column, level in one.levels)
        found.append(
            WorseSlice(
                name=name, rows=one.rows, stable=stable, candidate=candidate,
                worse=one.worse, better=one.better, chance=one.chance,
            )
        )  # fmt: skip
    metric: Literal["accuracy", "mae"] = "accuracy" if classes else "mae"
    return SliceSearch(metric=metric, slices=result.slices, rows=result.rows, found=tuple(found))


def _losses(run: Run, outcomes: Outcomes, places: Places) -> Floats:
    """How wrong the answers at ``places`` are: 0 or 1, or the absolute error (of none: of the mean)."""
    if run.experiment.data.task == "classification":
        return np.asarray(~outcomes.correct[places], dtype=np.float64)
    labels = np.asarray(run.dataset.labels, dtype=np.float64)
    answer = as_floats(outcomes.prediction.take(pa.array(places)))
    answer = np.where(outcomes.failed[places], labels.mean(), np.clip(answer, -LARGEST, LARGEST))
    return np.asarray(np.abs(answer - labels[outcomes.row[places]]))


def levels_of(data: Data, dataset: Dataset, rows: Places) -> list[Levels]:
    """The columns of the evaluation set as levels, except the label and the value.

    Args:
        data: names the label and the value.
        dataset: the evaluation set.
        rows: of it, in the order of the codes.
    """
    names = [name for name in dataset.columns.column_names if name not in data.outcome_columns]
    return list(_levels(dataset.columns.select(names[:MOST_COLUMNS]).take(pa.array(rows))))


def _levels(table: pa.Table) -> Iterator[Levels]:
    for name, chunked in zip(table.column_names, table.columns, strict=True):
        cells = chunked.combine_chunks()
        cells = pa.concat_arrays(cells.chunks) if isinstance(cells, pa.ChunkedArray) else cells
        text = not (pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type))
        encoded = cells if pa.types.is_dictionary(cells.type) else cells.dictionary_encode()
        values = encoded.dictionary.to_pylist() if text or len(encoded.dictionary) <= MOST_NUMBERS else None
        codes = np.asarray(pc.fill_null(encoded.indices.cast(pa.int32()), -1)).astype(np.intp)
        if values is None:
            yield _parts(name, np.asarray(cells.cast(pa.float64(), safe=False), dtype=np.float64))
        else:
            yield _values(name, codes, [_text(value) for value in values])


def _values(name: str, codes: Places, texts: list[str]) -> Levels:
    """The most frequent values; a missing cell is one."""
    counts = np.bincount(np.where(codes < 0, len(texts), codes), minlength=len(texts) + 1)
    kept = [i for i in np.argsort(-counts, kind="stable")[:MOST_VALUES].tolist() if counts[i] >= FEWEST]
    target = np.full(len(texts) + 1, -1, dtype=np.int16)
    target[kept] = np.arange(len(kept))
    names = [f"{name} missing" if i == len(texts) else f"{name}={texts[i][:40]}" for i in kept]
    return Levels(target[codes], tuple(names))


def _parts(name: str, cells: Floats) -> Levels:
    known = np.isfinite(cells)
    edges = np.unique(np.quantile(cells[known], np.arange(1, PARTS) / PARTS, method="inverted_cdf"))
    edges = edges[edges > cells[known].min()]
    codes = np.where(known, np.searchsorted(edges, cells, side="right"), len(edges) + 1).astype(np.int16)
    if not len(edges):
        return Levels(np.where(known, -1, 0).astype(np.int16), (f"{name} missing",))
    # times in microseconds differ in the tenth digit
    written = ([f"{edge:.{digits}g}" for edge in edges] for digits in (6, 12, 17))
    ends = next(texts for texts in written if len(set(texts)) == len(edges))
    middle = [f"{low} ≤ {name} < {high}" for low, high in itertools.pairwise(ends)]
    return Levels(codes, (f"{name} < {ends[0]}", *middle, f"{name} ≥ {ends[-1]}", f"{name} missing"))


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
