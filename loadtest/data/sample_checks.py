"""Whether the columns of a sample file can mean what ``loadtest.data.samples.SCHEMA`` says of them.

A verdict is only as good as what it is computed from: a file that was damaged, cut or written by hand must
not be judged with a straight face.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loadtest.data.timings import PARTS, parts_of
from loadtest.experiment.role import ROLES_WITH_CONTROL

Flags = NDArray[np.bool_]

_ALWAYS = ("row", "role", "scheduled_at", "sent_at", "done_at", "status", "worker")
"""Columns that no sample lacks."""
_ROLES = list(ROLES_WITH_CONTROL)
_MOMENT = 1e-6
"""Seconds by which sums of floats may differ."""
_SINGLE = 1e-6
"""By which a sum of numbers in single precision may be off."""
_MIX = np.uint64(0x9E3779B97F4A7C15)


def problem(table: pa.Table) -> str | None:
    """The first thing that cannot be, with the place of the sample (from 0); None: all of it can."""
    return problem_of(lambda *names: iter([table.select(names)]), table.schema.names)


def problem_of(parts: Callable[..., Iterator[pa.Table]], names: Sequence[str]) -> str | None:
    """As ``problem``, of samples that are more than fit into memory.

    ``parts`` gives the columns that it is called with, a part of the samples after the other, as often as it
    is called.
    """
    missing: Counter[str] = Counter()
    found, begin, each = None, 0, list[_Lists]()
    for part in parts(*names):
        missing.update({f.name: part[f.name].null_count for f in part.schema if f.name in _ALWAYS})
        each.append(_Lists.of(part))
        if part.num_rows and not found and not missing.total():
            found = _first(part, each[-1], begin)
        begin += part.num_rows
    for name in names:
        if missing[name]:
            return f"{name} is missing in {missing[name]:,} samples"
    if any(lists != each[0] for lists in each):
        # each part was held against itself: scores take the longest to read, and once is mostly enough
        found = _first_of_all(parts(*names), _Lists.joined(each))
    return found or _duplicate(parts, begin)


class _Lists(NamedTuple):
    """What samples have: the most scores and outputs of any, and whether any has a ranking, or timings."""

    most: dict[str, int]
    ranked: bool
    timed: bool

    @classmethod
    def of(cls, part: pa.Table) -> _Lists:
        most = {}
        for name in ("scores", "outputs"):
            most[name] = pc.max(pc.list_value_length(part[name])).as_py() or 0
        return cls(most, *(part[name].null_count < part.num_rows for name in ("ranking", "timings")))

    @classmethod
    def joined(cls, each: Sequence[_Lists]) -> _Lists:
        most = {name: max(lists.most[name] for lists in each) for name in each[0].most}
        return cls(most, any(lists.ranked for lists in each), any(lists.timed for lists in each))


def _first_of_all(parts: Iterator[pa.Table], lists: _Lists) -> str | None:
    begin = 0
    for part in parts:
        if found := _first(part, lists, begin):
            return found
        begin += part.num_rows
    return None


def _first(part: pa.Table, lists: _Lists, begin: int) -> str | None:
    """The first thing that cannot be in a part that begins with sample ``begin``."""
    for bad, text in _problems(part, lists):
        if bad.any():
            place = int(np.argmax(bad))
            return f"sample {begin + place}: {text(place)}"
    return None


def _problems(table: pa.Table, lists: _Lists) -> Iterator[tuple[Flags, Callable[[int], str]]]:
    role = table["role"].combine_chunks()
    names = role.dictionary.to_pylist()
    known = np.array([name in _ROLES for name in names], dtype=bool)
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
    for name, most in lists.most.items():
        numbers = table[name].combine_chunks()
        if numbers.null_count < len(numbers):
            yield from _number_problems(name, numbers, failed, most)
    if lists.most["outputs"]:
        given = np.asarray(pc.is_valid(table["outputs"]))
        yield ~failed & ~given, lambda _: "it has no outputs, others have some"
    ranking = table["ranking"].combine_chunks()
    if lists.ranked:
        ranked = np.asarray(pc.is_valid(ranking))
        yield failed & ranked, lambda _: "it failed and yet has a ranking"
        yield ~failed & ~ranked, lambda _: "it has no ranking, others have one"
    if lists.timed:
        yield from _timing_problems(table["timings"].combine_chunks(), done - sent)
    place, size = (np.asarray(pc.fill_null(table[name], -1)) for name in ("place", "request_rows"))
    one = (place == -1) & (size == -1)
    yield (
        ~one & ~((place >= 0) & (place < size) & (size > 1)),
        lambda at: f"it is row {place[at]} of {size[at]} of its request",
    )
    right = np.asarray(pc.fill_null(table["correct"], False))
    yield failed & right, lambda at: f"it failed ({table['error'][at]}) and yet is correct"


def _number_problems(
    name: str, lists: pa.Array, failed: Flags, most: int
) -> Iterator[tuple[Flags, Callable[[int], str]]]:
    """Of the lists of scores or of outputs; one score may stand for two."""
    given, counts = (
        np.asarray(pc.is_valid(lists)),
        np.asarray(pc.fill_null(pc.list_value_length(lists), 0)),
    )
    yield failed & given, lambda _: f"it failed and yet has {name}"
    yield (
        given & (counts != most) & ((counts != 1) | (name == "outputs")),
        lambda at: f"it has {counts[at]} {name}, others have {most}",
    )
    finite = np.isfinite(np.asarray(pc.fill_null(pc.list_flatten(lists), np.nan)))
    wrong = np.zeros(len(lists), dtype=bool)
    wrong[np.asarray(pc.list_parent_indices(lists))[~finite]] = True
    yield wrong, lambda at: f"its {name} are {lists[at]}"


def _timing_problems(
    lists: pa.Array, seconds: NDArray[np.float64]
) -> Iterator[tuple[Flags, Callable[[int], str]]]:
    """Of the parts of each request's time, which lie within the ``seconds`` from its send to its end."""
    counts = np.asarray(pc.fill_null(pc.list_value_length(lists), 0))
    yield (
        counts != len(PARTS),
        lambda at: f"it has the time of {counts[at]} parts of its request, not of {len(PARTS)}",
    )
    parts = parts_of(lists)
    negative: Flags = np.any(parts < 0, axis=1)
    yield negative, lambda at: f"a part of its time is negative: {lists[at]}"
    total: NDArray[np.float64] = np.nansum(parts, axis=1, dtype=np.float64)
    yield (
        ~(total <= seconds * (1 + _SINGLE) + _MOMENT),
        lambda at: f"the parts of its time make {total[at]:g} s, and it took {seconds[at]:g} s",
    )


def _not_finite(table: pa.Table, name: str, place: int) -> str:
    return f"{name} is {table[name][place]}"


def _duplicate(parts: Callable[..., Iterator[pa.Table]], samples: int) -> str | None:
    """Whether one worker asked one version one row at one moment twice, so that an answer counts twice."""
    keys = _keys(parts, samples)
    keys.sort()
    twice = keys[1:][keys[1:] == keys[:-1]]
    if not len(twice):
        return None
    same = np.flatnonzero(_keys(parts, samples) == twice[0])
    return f"samples {same[0]} and {same[1]} are of the same version, row, worker and moment"


def _keys(parts: Callable[..., Iterator[pa.Table]], samples: int) -> NDArray[np.uint64]:
    """One number per sample, the same for the same version, row, worker and moment."""
    keys, at = np.empty(samples, np.uint64), 0
    for part in parts("scheduled_at", "row", "worker", "role"):
        each = keys[at : at + part.num_rows]
        role = part["role"].combine_chunks()
        numbers = np.array([_ROLES.index(name) for name in role.dictionary.to_pylist()], dtype=np.uint64)
        each[:] = part["scheduled_at"].to_numpy().view(np.uint64) * _MIX
        columns = (part["row"].to_numpy(), part["worker"].to_numpy(), numbers[np.asarray(role.indices)])
        for column in columns:
            each[:] = (each ^ (each >> np.uint64(29)) ^ column.astype(np.uint64)) * _MIX
        at += part.num_rows
    return keys
