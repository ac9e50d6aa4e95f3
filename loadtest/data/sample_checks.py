"""Whether the columns of a sample file can mean what ``loadtest.data.samples.SCHEMA`` says of them.

A verdict is only as good as what it is computed from: a file that was damaged, cut or written by hand must
not be judged with a straight face.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loadtest.experiment.role import ROLES_WITH_CONTROL

_MOMENT = 1e-6
"""Seconds by which sums of floats may differ."""
_MIX = np.uint64(0x9E3779B97F4A7C15)


def problem(table: pa.Table) -> str | None:
    """The first thing that cannot be, with the place of the sample (from 0); None: all of it can."""
    if not table.num_rows:
        return None
    for field in table.schema:
        if not field.nullable and table[field.name].null_count:
            return f"{field.name} is missing in {table[field.name].null_count:,} samples"
    for bad, text in _problems(table):
        if bad.any():
            place = int(np.argmax(bad))
            return f"sample {place}: {text(place)}"
    return _duplicate(table)


def _problems(table: pa.Table) -> Iterator[tuple[NDArray[np.bool_], Callable[[int], str]]]:
    role = table["role"].combine_chunks()
    names = role.dictionary.to_pylist()
    known = np.array([name in set(ROLES_WITH_CONTROL) for name in names], dtype=bool)
    codes = np.asarray(role.indices)
    yield ~known[codes], lambda at: f"no version has the role {names[codes[at]]!r}"
    row = table["row"].to_numpy()
    yield row < 0, lambda at: f"there is no row {row[at]}"
    worker = table["worker"].to_numpy()
    yield worker < 0, lambda at: f"there is no worker {worker[at]}"
    scheduled, sent, done = (table[name].to_numpy() for name in ("scheduled_at", "sent_at", "done_at"))
    for name in ("scheduled_at", "sent_at", "done_at"):
        yield ~np.isfinite(table[name].to_numpy()), partial(_not_finite, table, name)
    yield sent < scheduled - _MOMENT, lambda at: f"sent at {sent[at]:g} s, before its {scheduled[at]:g} s"
    yield done < sent - _MOMENT, lambda at: f"done at {done[at]:g} s, before it was sent at {sent[at]:g} s"
    status = table["status"].to_numpy()
    yield (
        (status != 0) & ((status < 100) | (status > 599)),
        lambda at: f"there is no HTTP status {status[at]}",
    )
    failed, answered = (np.asarray(pc.is_valid(table[name])) for name in ("error", "prediction"))
    yield failed & answered, lambda at: f"it failed ({table['error'][at]}) and yet has an answer"
    yield ~failed & ~answered, lambda _: "it did not fail and yet has no answer"
    scores = table["scores"].combine_chunks()
    if scores.null_count < len(scores):
        yield from _score_problems(scores, failed)
    ranking = table["ranking"].combine_chunks()
    if ranking.null_count < len(ranking):
        ranked = np.asarray(pc.is_valid(ranking))
        yield failed & ranked, lambda _: "it failed and yet has a ranking"
        yield ~failed & ~ranked, lambda _: "it has no ranking, others have one"
    right = np.asarray(pc.fill_null(table["correct"], False))
    yield failed & right, lambda at: f"it failed ({table['error'][at]}) and yet is correct"


def _score_problems(
    scores: pa.Array, failed: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.bool_], Callable[[int], str]]]:
    scored, counts = (
        np.asarray(pc.is_valid(scores)),
        np.asarray(pc.fill_null(pc.list_value_length(scores), 0)),
    )
    yield failed & scored, lambda _: "it failed and yet has scores"
    most = int(counts.max())
    yield (
        scored & (counts != most) & (counts != 1),
        lambda at: f"it has {counts[at]} scores, others have {most}",
    )
    finite = np.isfinite(np.asarray(pc.fill_null(pc.list_flatten(scores), np.nan)))
    wrong = np.zeros(len(scores), dtype=bool)
    wrong[np.asarray(pc.list_parent_indices(scores))[~finite]] = True
    yield wrong, lambda at: f"its scores are {scores[at]}"


def _not_finite(table: pa.Table, name: str, place: int) -> str:
    return f"{name} is {table[name][place]}"


def _duplicate(table: pa.Table) -> str | None:
    """Whether one worker asked one version one row at one moment twice, so that an answer counts twice."""
    role = np.asarray(table["role"].combine_chunks().indices)
    keys = table["scheduled_at"].to_numpy().view(np.uint64) * _MIX
    for column in (table["row"].to_numpy(), table["worker"].to_numpy(), role):
        keys = (keys ^ (keys >> np.uint64(29)) ^ column.astype(np.uint64)) * _MIX
    ordered = np.sort(keys)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(twice):
        return None
    same = np.flatnonzero(keys == twice[0])
    return f"samples {same[0]} and {same[1]} are of the same version, row, worker and moment"
