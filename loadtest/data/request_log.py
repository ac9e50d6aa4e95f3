"""A recorded log of requests: when each came, and what it sent, as far as the log says.

::

    log = read_log(Path("capture.jsonl"))
    log.entries[0].time, log.entries[0].rows

One JSON object per line, also as ``.gz``; KServe's events also as message-dumper prints them, access logs
also as text. What a line is, ``log_formats`` says. A line that cannot be read is an error with its number: a
log that is replayed without some of its lines is another traffic.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from loadtest.data.access_lines import access_log_of, is_goreplay, prefix_of
from loadtest.data.log_formats import FORMATS, Entry, LeftOut
from loadtest.data.log_lines import BadLines, is_part_of_json, object_of, read_lines
from loadtest.data.printed_events import BEGINS, printed_events
from loadtest.errors import DatasetError

MOST_REQUESTS = 1_000_000
_DOCKERS = {"log", "stream"}
"""Keys of each line in the files of Docker's own log driver."""


@dataclass(frozen=True)
class RequestLog:
    """What a log holds.

    Args:
        path: where it was read from.
        kind: in words, such as ``an access log``.
        entries: one per request, in the order of the file.
        notes: what was left out, one line each.
    """

    path: Path
    kind: str
    entries: tuple[Entry, ...]
    notes: tuple[str, ...]


def read_log(path: Path) -> RequestLog:
    """Read a log.

    Raises:
        DatasetError: it cannot be read, is too large, or has lines that are no requests; names them.
    """
    with closing(read_lines(path, "[load] replay must name a log of requests")) as lines:
        return _gathered(path, lines)


def _gathered(path: Path, lines: Iterator[tuple[int, str]]) -> RequestLog:
    first = next(lines, None)
    if first is None:
        raise DatasetError(f"{path}: is empty; [load] replay must name a log of requests")
    printed = first[1].strip().endswith(BEGINS)
    read_text = access_log_of(first[1])
    if not printed and read_text is None and (why := _no_log(path, *first)):
        raise DatasetError(f"{path}: {why}")
    records = printed_events(first, lines) if printed else _objects(first, lines, read_text or object_of)
    entries: list[Entry] = []
    left_out: dict[str, int] = {}
    bad = BadLines(path)
    kinds: dict[str, int] = {}
    seen: dict[tuple[str, float], int] = {}
    for number, read in records:
        try:
            record = read()
            kind, parse = _format_of(record)
            entry = parse(record, number)
            if entry.own and seen.setdefault((entry.own, entry.time), number) != number:
                raise LeftOut("copies: the id and the time are those of a line before")
        except LeftOut as why:
            left_out[str(why)] = left_out.get(str(why), 0) + 1
            continue
        except (ValueError, RecursionError) as error:
            bad.add(number, error)
            continue
        if kinds.setdefault(kind, number) == number and len(kinds) > 1:
            one, other = list(kinds.items())
            raise DatasetError(
                f"{path}: line {one[1]:,} is of {one[0]}, line {other[1]:,} of {other[0]}; "
                "replay one at a time"
            )
        entries.append(entry)
        if len(entries) > MOST_REQUESTS:
            raise DatasetError(
                f"{path}: holds more than {MOST_REQUESTS:,} requests; cut it into smaller logs"
            )
    bad.refuse()
    notes = tuple(f"lines left out: {count:,} ({why})" for why, count in left_out.items())
    if not entries:
        raise DatasetError(f"{path}: holds no request{'; ' if notes else ''}{'; '.join(notes)}")
    return RequestLog(path, next(iter(kinds)), tuple(entries), notes)


def _no_log(path: Path, number: int, line: str) -> str | None:
    """Why the file is no log of JSON lines, by its first line, and what makes it one; None: it may be one."""
    file = shlex.quote(str(path))
    if is_goreplay(line):
        return (
            "is a capture of GoReplay, which cannot be read; write a line of JSON per request, with its time "
            "and body"
        )
    if (prefix := prefix_of(line)) is not None:
        return (
            f"line {number:,} has {prefix!r} before what the server wrote; leave it out (docker compose logs "
            "--no-log-prefix, kubectl logs --prefix=false)"
        )
    if line.lstrip()[:1] == "[":
        return f"is a JSON array; write a line per element: jq -c '.[]' {file} > log.jsonl"
    if line.lstrip()[:1] != "{":
        return (
            f"line {number:,} is neither JSON nor of an access log that is known (docs/load.md); where a "
            "server writes other lines, too, keep those of its access log: "
            f"grep '\"POST ' {file} > log.txt; else write a line of JSON per request, with its time and body"
        )
    if is_part_of_json(line):
        return (
            f"line {number:,} is not one JSON object; write each on a line of its own: "
            f"jq -c . {file} > log.jsonl"
        )
    if _DOCKERS.issubset(_keys(line)):
        return f"is what Docker stores; take what the server wrote out of it: jq -j .log {file} > log.txt"
    return None


def _keys(line: str) -> Iterable[str]:
    try:
        return object_of(line)
    except (ValueError, RecursionError):
        return ()


def _objects(
    first: tuple[int, str], lines: Iterable[tuple[int, str]], read: Callable[[str], dict[str, Any]]
) -> Iterator[tuple[int, Callable[[], dict[str, Any]]]]:
    for number, text in chain([first], lines):
        yield number, partial(read, text)


def _format_of(record: dict[str, Any]) -> tuple[str, Callable[[dict[str, Any], int], Entry]]:
    for key, kind, parse in FORMATS:
        if key in record:
            return kind, parse
    if {"reqtype", "bytes"} <= {key.lower() for key in record}:
        raise ValueError(
            "is what KServe's logger put into a bucket before 0.19, without a time; update KServe, or let it "
            "send events to a URL"
        )
    raise ValueError(
        "has no time: a line has time (and row or body), or is a KServe event, a SageMaker capture or a line "
        "of Envoy's access log with start_time; of a HAR file, write its entries so"
    )
