"""Labels that came later than the log: a file whose lines name the log's requests by their ids.

::

    log = with_labels(read_log(Path("capture.jsonl")), Path("truth.jsonl"))

A line is ``{"id": "e7", "label": "yes"}``, of two rows ``{"id": "e8", "labels": ["yes", "no"]}``; or what
SageMaker's Model Monitor merges with its captures:
``{"groundTruthData": {"data": "1", "encoding": "CSV"}, "eventMetadata": {"eventId": "e7"}}``.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from loadtest.data.log_formats import Entry, Label, event_of, ground_truth, labels_of
from loadtest.data.log_lines import BadLines, object_of, read_lines
from loadtest.data.request_log import RequestLog
from loadtest.errors import DatasetError

_KEY = "[load] replay_labels must name a file of labels"
_TRUTH, _EVENT = "groundTruthData", "eventMetadata"


def with_labels(log: RequestLog, path: Path) -> RequestLog:
    """The log, whose requests have the labels that a file gives their ids.

    The file may be packed with gzip.

    Raises:
        DatasetError: a line cannot be read, has not a label for each row of its request, or labels a request
            for a second time; or the file is of another log, or of a part of this one.
    """
    if log.entries[0].rows is None:
        raise DatasetError(
            f"{path}: labels belong to what was sent, and {log.path} does not say what that was; leave out "
            "[load] replay_labels: the evaluation set has the labels of its rows"
        )
    if not any(entry.event for entry in log.entries):
        raise DatasetError(
            f"{path}: names requests by their ids, and those of {log.path} have none; write one as id, or as "
            "KServe and SageMaker do"
        )
    truths = _read(path)
    bad, found, entries = BadLines(path), 0, []
    for entry in log.entries:
        if (truth := truths.get(entry.event)) is not None:
            line, record = truth
            found += 1
            try:
                entry = entry._replace(labels=_labels(record, entry))
            except ValueError as error:
                bad.add(line, f"{error} (line {entry.line:,} of {log.path})")
        entries.append(entry)
    bad.refuse()
    if not found:
        known = next(entry.event for entry in log.entries if entry.event)
        raise DatasetError(
            f"{path}: labels none of the requests of {log.path}: it has ids such as {next(iter(truths))!r}, "
            f"the log such as {known!r}"
        )
    without = [entry for entry in entries if entry.labels is None or None in entry.labels]
    if without:
        raise DatasetError(
            f"{path}: leaves {len(without):,} of the {len(entries):,} requests of {log.path} without labels, "
            f"such as {without[0].event!r} (line {without[0].line:,}); take them out of the log, or leave "
            "[load] replay_labels out and gate agreement"
        )
    return replace(log, entries=tuple(entries))


def _read(path: Path) -> dict[str, tuple[int, dict[str, Any]]]:
    """The number and the content of each line, by the id that it names."""
    truths: dict[str, tuple[int, dict[str, Any]]] = {}
    bad = BadLines(path)
    with closing(read_lines(path, _KEY)) as lines:
        for number, text in lines:
            try:
                record = object_of(text)
                event = _event(record)
                if event in truths and truths[event][1] != record:
                    raise ValueError(f"labels {event!r} otherwise than line {truths[event][0]:,}")
                truths.setdefault(event, (number, record))
            except (ValueError, RecursionError) as error:
                bad.add(number, error)
    bad.refuse()
    if not truths:
        raise DatasetError(f"{path}: is empty; {_KEY}")
    return truths


def _event(record: dict[str, Any]) -> str:
    if _TRUTH in record:
        metadata = record.get(_EVENT)
        event = event_of(metadata) if isinstance(metadata, dict) else ""
        if not event:
            raise ValueError("eventMetadata has no eventId")
        return event
    if record.get("id") is None:
        raise ValueError("has no id: a line has id and label or labels, or groundTruthData and eventMetadata")
    return str(record["id"])


def _labels(record: dict[str, Any], entry: Entry) -> tuple[Label, ...]:
    rows = len(entry.rows or ())
    if _TRUTH in record:
        return ground_truth(record[_TRUTH], rows)
    labels = labels_of(record, rows)
    if labels is None:
        raise ValueError("has neither label nor labels")
    return labels
