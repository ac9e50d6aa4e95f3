"""The formats of logged requests: from the JSON of one line to its time and its rows.

=====================  =======================================================================
a line has             it is
=====================  =======================================================================
``captureData``        SageMaker Data Capture
``specversion``        an event of KServe's inference logger (CloudEvents)
``occurrenceTime``     the same, as the logger puts it into a bucket
``start_time``         Envoy's access log as JSON, as Istio writes it, too; or what ``access_lines`` makes
                       of a line of text
``time``               our own: ``{"time": 12.5, "row": 17}``, ``{"time": "2026-01-14T09:10:53.669Z",
                       "body": {"age": 41}, "user": "u7", "label": "yes"}``; of several rows
                       ``{"time": 3, "body": [{"age": 41}, {"age": 17}], "labels": ["yes", "no"]}``
=====================  =======================================================================
"""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from loadtest.data.logged_rows import Row, rows_of_csv, rows_of_json, rows_of_lines

_EPOCH_LIMIT = 1e11
"""Seconds since 1970 are below it until the year 5138; milliseconds are above it since 1973."""

_SECONDS = re.compile(r"\d{9,10}(\.\d+)?")
"""Since 1970, as text: Envoy's ``%START_TIME(%s.%3f)%``."""
_METHODS = ("method", "request_method", "RequestMethod")
"""Where nginx's, Traefik's and other access logs as JSON have it."""


class LeftOut(Exception):  # noqa: N818 - it is no error
    """A line that is no request for a prediction; says why."""


Label = str | float | bool | None
"""The true outcome of a row; None: not known."""


class Entry(NamedTuple):
    """One request of a log.

    Args:
        line: its number in the file, from 1.
        time: seconds, on any one clock.
        rows: what it sent, each by name or by position; None: the log does not say.
        numbers: instead, of its rows their numbers in the evaluation set, from 0; None: it names none.
        labels: of each row; None: the log has none.
        users: whose each row is; None: not known.
        event: the id by which labels that came later name it; empty: it has none.
        own: the id that no other request has; empty: it has none.
    """

    line: int
    time: float
    rows: tuple[Row, ...] | None = None
    numbers: tuple[int, ...] | None = None
    labels: tuple[Label, ...] | None = None
    users: tuple[str, ...] | None = None
    event: str = ""
    own: str = ""


def own(record: dict[str, Any], line: int) -> Entry:
    """A line of our own format; of other access logs as JSON, too, which say no more than when."""
    method = next((record[key] for key in _METHODS if key in record), "POST")
    if method != "POST" and not {"row", "rows", "body"} & set(record):
        raise LeftOut(f"method {method}, no prediction")
    named = [key for key in ("row", "rows", "body") if record.get(key) is not None]
    if len(named) > 1:
        raise ValueError(f"has a {named[0]} and a {named[1]}; one of them says what is sent")
    rows = rows_of_json(record["body"]) if "body" in record else None
    numbers = None
    if (given := record.get("rows", record.get("row"))) is not None:
        numbers = tuple(given if isinstance(given, list) and "rows" in record else [given])
        for row in numbers:
            if isinstance(row, bool) or not isinstance(row, int) or row < 0:
                raise ValueError(f"row {row!r} is no number of a row, from 0")
        if not numbers:
            raise ValueError("rows is an empty list")
    count = len(rows or numbers or (None,))
    labels = labels_of(record, count)
    users = _users(record, count)
    event = str(record.get("id", ""))
    return Entry(line, _time(record["time"]), rows, numbers, labels, users, event, event)


def labels_of(record: dict[str, Any], rows: int) -> tuple[Label, ...] | None:
    """What a line has under ``label``, of one row, or ``labels``, of several: one per row; None: neither.

    Raises:
        ValueError: there are not as many as rows, or one is no label.
    """
    if (label := record.get("label")) is not None:
        if "labels" in record:
            raise ValueError("has label and labels; leave one of them out")
        if isinstance(label, list | dict):
            raise ValueError(f"label {json.dumps(label)[:40]} is neither text nor a number")
        if rows > 1:
            raise ValueError(f"has one label for {rows} rows; write labels, a list with one for each")
        return (label,)
    labels = _list_of(record, "labels", rows)
    if any(isinstance(label, list | dict) for label in labels or ()):
        raise ValueError("one of its labels is neither text nor a number")
    return labels


def _users(record: dict[str, Any], rows: int) -> tuple[str, ...] | None:
    """Whose each row is: a request's ``user`` has all of them, ``users`` has one per row."""
    if (user := record.get("user")) is not None:
        if "users" in record:
            raise ValueError("has user and users; leave one of them out")
        return (str(user),) * rows
    users = _list_of(record, "users", rows)
    if users is None or None in users:
        return None
    return tuple(map(str, users))


def _list_of(record: dict[str, Any], key: str, rows: int) -> tuple[Any, ...] | None:
    given = record.get(key)
    if given is None:
        return None
    if not isinstance(given, list):
        raise ValueError(f"{key} is no list; of one row write {key[:-1]}")
    if len(given) != rows:
        raise ValueError(f"has {len(given)} {key} for {rows} row{'s' if rows > 1 else ''}")
    return tuple(given)


def kserve(event: dict[str, Any], line: int) -> Entry:
    """An event of KServe's inference logger; what is no request is left out."""
    kind = event.get("type")
    if not str(kind).endswith(".request"):
        raise LeftOut(f"events of type {kind}")
    if "time" not in event:
        raise ValueError("the event has no time")
    data = event.get("data")
    if "data_base64" in event:
        data = _decoded(event["data_base64"])
    if isinstance(data, str):
        data = _json(data)
    name = str(event.get("id", ""))
    return Entry(line, _time(event["time"]), rows_of_json(data), event=name, own=name)


def kserve_stored(record: dict[str, Any], line: int) -> Entry:
    """What KServe's inference logger puts into a bucket as JSON."""
    names = {"type": "reqType", "time": "occurrenceTime", "id": "id", "data_base64": "bytes"}
    return kserve({ours: record[theirs] for ours, theirs in names.items() if theirs in record}, line)


def sagemaker(record: dict[str, Any], line: int) -> Entry:
    """A line of SageMaker Data Capture; one that Model Monitor merged has the label, too."""
    given = record["captureData"].get("endpointInput") if isinstance(record["captureData"], dict) else None
    when = record.get("eventMetadata")
    if not isinstance(given, dict) or "data" not in given:
        raise ValueError("captures no input; set CaptureOptions to Input and Output")
    if not isinstance(when, dict) or "inferenceTime" not in when:
        raise ValueError("eventMetadata has no inferenceTime")
    text, encoding = given["data"], str(given.get("encoding", "")).upper()
    if not isinstance(text, str):
        raise ValueError("the data of the capture is no text")
    if encoding == "BASE64":
        text = _decoded(text)
    content = str(given.get("observedContentType") or "").lower()
    is_csv = encoding == "CSV" or (encoding != "JSON" and "csv" in content)
    if "json" not in content and not is_csv and encoding != "JSON":
        raise ValueError(f"the input is {content or encoding or 'of no known type'}, neither CSV nor JSON")
    are_lines = "jsonlines" in content
    rows = rows_of_csv(text) if is_csv else rows_of_lines(text) if are_lines else rows_of_json(_json(text))
    labels = ground_truth(record["groundTruthData"], len(rows)) if record.get("groundTruthData") else None
    return Entry(
        line,
        _time(when["inferenceTime"]),
        rows,
        labels=labels,
        event=event_of(when),
        own=str(when.get("eventId") or ""),
    )


def event_of(metadata: dict[str, Any]) -> str:
    """The id of a request to SageMaker: its caller's, where there is one, as Model Monitor has it."""
    return str(metadata.get("inferenceId") or metadata.get("eventId") or "")


def ground_truth(given: object, rows: int) -> tuple[Label, ...]:
    """The labels in SageMaker's ``groundTruthData``: of several rows a line each, or commas between them.

    Raises:
        ValueError: there are not as many as rows, or they cannot be read.
    """
    if not isinstance(given, dict) or not isinstance(text := given.get("data"), str):
        raise ValueError("groundTruthData has no data that is text")
    encoding = str(given.get("encoding", "")).upper()
    if encoding == "BASE64":
        text = _decoded(text)
    if encoding == "JSON":
        whole = _json(text)
        labels = whole if isinstance(whole, list) else [whole]
    elif rows == 1:
        labels = [text.strip()]
    else:
        labels = [cell.strip() for line in csv.reader(io.StringIO(text)) for cell in line]
    if any(isinstance(label, list | dict) for label in labels):
        raise ValueError("groundTruthData has a label that is neither text nor a number")
    if len(labels) != rows:
        raise ValueError(f"groundTruthData has {len(labels)} labels for {rows} row{'s' if rows > 1 else ''}")
    return tuple(labels)


def access_log(record: dict[str, Any], line: int) -> Entry:
    """A line of an access log, which does not say what was sent."""
    # Envoy writes null of a connection that is not HTTP
    method = record.get("method", record.get(":method", "POST"))
    if method != "POST":
        raise LeftOut(f"method {method or '-'}, no prediction")
    user = record.get("x_user_id", record.get("x-user-id"))
    users = None if user in (None, "-") else (str(user),)
    return Entry(line, _time(record["start_time"]), users=users)


FORMATS: tuple[tuple[str, str, Callable[[dict[str, Any], int], Entry]], ...] = (
    ("captureData", "SageMaker Data Capture", sagemaker),
    ("specversion", "KServe's logger", kserve),
    ("occurrenceTime", "KServe's logger", kserve_stored),
    ("start_time", "an access log", access_log),
    ("time", "a log of requests", own),
)
"""The key that a line has, what it is, and what reads it."""


def _time(given: object) -> float:
    """Seconds; text is a time of RFC 3339, without a zone UTC."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        if not abs(given) < _EPOCH_LIMIT:
            raise ValueError(f"time {given!r} is not in seconds")
        return float(given)
    text = str(given).strip("[] ").upper()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"time {given!r} is neither seconds nor such as 2026-01-14T09:10:53.669Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"what was sent is not JSON ({error.msg})") from None


def _decoded(text: object) -> str:
    try:
        return base64.b64decode(str(text), validate=True).decode("utf-8")
    except ValueError:
        raise ValueError("what was sent is not text in Base64") from None
