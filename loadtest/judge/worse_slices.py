"""Where is it worse? Slices by one or two columns on which the candidate does worse. Shown, never judged.

A text column is cut by its most frequent values, a numeric one by its values where there are few, else into
four parts of about as many rows. See ``loadtest.stats.slice_search`` for what counts as found.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Data
from loadtest.judge.outcomes import Floats, Places
from loadtest.judge.row_values import RowValues, row_values
from loadtest.judge.run import Run
from loadtest.judge.verdict import SliceSearch, WorseSlice
from loadtest.stats import slice_search
from loadtest.stats.slice_search import FEWEST, Codes, Found

MOST_VALUES = 12
"""Of a text column, as levels; the rarer ones are in no slice."""
MOST_NUMBERS = 8
"""A numeric column with more different values is cut into parts."""
PARTS = 4
MOST_COLUMNS = 1000
MOST_FOUND = 10


class Levels(NamedTuple):
    """One column: each row's level, -1 for none, shape (rows,), and the levels' names."""

    codes: Codes
    names: tuple[str, ...]


def search_slices(run: Run) -> SliceSearch:
    """Search all slices of a run for those on which the candidate is worse, by each of its metrics."""
    dataset = run.dataset
    if not dataset.labelled:
        return SliceSearch(skipped="the evaluation set has no labels")
    if not run.evidence.paired:
        return SliceSearch(skipped="each request went to one version, so no row says which did better")
    if not len(run.evidence.stable):
        return SliceSearch(skipped="there are no samples")
    evidence = run.evidence.first_of_each_row(dataset.content)
    values = row_values(replace(run, evidence=evidence))
    missing = {name: " ".join(why.split()) for name, why in values.missing.items()}
    if not values.found:
        return SliceSearch(skipped="; ".join(f"{name}: {why}" for name, why in missing.items()))
    columns = levels_of(run.experiment.data, dataset, evidence.stable.row.astype(np.intp))
    codes = [column.codes for column in columns]
    found = []
    for one in values.found:
        result = slice_search.search(codes, one.sign, searches=len(values.found))
        found += [worse for each in result.found if (worse := _worse(each, one, columns))]
    if not result.slices:
        return SliceSearch(skipped=f"no slice by one or two columns has {FEWEST} distinct rows")
    found.sort(key=lambda worse: worse.chance)
    return SliceSearch(
        metric=values.found[0].metric,
        metrics=tuple(one.metric for one in values.found),
        slices=result.slices,
        rows=result.rows,
        found=tuple(found[:MOST_FOUND]),
        more=len({one.name for one in found} - {one.name for one in found[:MOST_FOUND]}),
        missing=missing,
    )


def _worse(one: Found, values: RowValues, columns: list[Levels]) -> WorseSlice | None:
    """A find with what both versions are worth there; None: worse on more rows, and yet by less."""
    inside = slice_search.rows_of(one, [column.codes for column in columns])
    stable, candidate = (values.level(each[inside]) for each in (values.stable, values.candidate))
    if candidate == stable or (candidate > stable) == values.higher_is_better:
        return None
    return WorseSlice(
        name=" and ".join(columns[column].names[level] for column, level in one.levels),
        metric=values.metric,
        rows=one.rows,
        stable=stable,
        candidate=candidate,
        worse=one.worse,
        better=one.better,
        chance=one.chance,
    )


def levels_of(data: Data, dataset: Dataset, rows: Places) -> list[Levels]:
    """The columns of the evaluation set as levels, except the label and the value.

    The codes are in the order of ``rows``.
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
