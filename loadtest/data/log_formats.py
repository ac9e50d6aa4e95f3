"""The formats of logged requests: from the JSON of one line to its time and its rows.

=====================  =======================================================================
a line has             it is
=====================  =======================================================================
``captureData``        SageMaker Data Capture
``specversion``        an event of KServe's inference logger (CloudEvents)
``start_time``         Envoy's access log as JSON, as Istio writes it, too; or what ``access_lines`` makes
                       of a line of text
``time``               our own: ``{"time": 12.5, "row": 17}``, ``{"time": "2026-01-14T09:10:53.669Z",
                       "body": {"age": 41}, "user": "u7", "label": "yes"}``
=====================  =======================================================================
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from loadtest.data.logged_rows import Row, rows_of_csv, rows_of_json

_EPOCH_LIMIT = 1e11
"""Seconds since 1970 are below it until the year 5138; milliseconds are above it since 1973."""


class LeftOut(Exception):  # noqa: N818 - it is no error
    """A line that is no request for a prediction; says why."""


class Entry(NamedTuple):
    """One request of a log.

    Args:
        line: its number in the file, from 1.
        time: seconds, on any one clock.
        rows: what it sent, each by name or by position; None: the log does not say.
        row: the number of a row of the evaluation set, from 0; None: it names none.
        label: the true outcome; None: not known.
        user: whose request it was; None: not known.
    """

    line: int
    time: float
    rows: tuple[Row, ...] | None = None
    row: int | None = None
    label: str | float | bool | None = None
    user: str | None = None


def own(record: dict[str, Any], line: int) -> Entry:
    """A line of our own format."""
    row, label, user = record.get("row"), record.get("label"), record.get("user")
    if row is not None and (isinstance(row, bool) or not isinstance(row, int) or row < 0):
        raise ValueError(f"row {row!r} is no number of a row, from 0")
    if row is not None and "body" in record:
        raise ValueError("has a row and a body; one of them says what is sent")
    if isinstance(label, list | dict):
        raise ValueError(f"label {json.dumps(label)[:40]} is neither text nor a number")
    rows = rows_of_json(record["body"]) if "body" in record else None
    if label is not None and rows is not None and len(rows) > 1:
        raise ValueError(f"has one label for {len(rows)} rows; write a line for each")
    return Entry(line, _time(record["time"]), rows, row, label, None if user is None else str(user))


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
    return Entry(line, _time(event["time"]), rows_of_json(data))


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
    content = str(given.get("observedContentType", "")).lower()
    is_csv = encoding == "CSV" or (encoding != "JSON" and "csv" in content)
    if "json" not in content and not is_csv and encoding != "JSON":
        raise ValueError(f"the input is {content or encoding or 'of no known type'}, neither CSV nor JSON")
    rows = rows_of_csv(text) if is_csv else rows_of_json(_json(text))
    truth = record.get("groundTruthData")
    label = str(truth["data"]).strip() if isinstance(truth, dict) and "data" in truth else None
    return Entry(line, _time(when["inferenceTime"]), rows, label=label if len(rows) == 1 else None)


def access_log(record: dict[str, Any], line: int) -> Entry:
    """A line of an access log, which does not say what was sent."""
    method = record.get("method", record.get(":method"))
    if method not in (None, "POST"):
        raise LeftOut(f"method {method}, no prediction")
    user = record.get("x_user_id", record.get("x-user-id"))
    return Entry(line, _time(record["start_time"]), user=None if user in (None, "-") else str(user))


FORMATS: tuple[tuple[str, str, Callable[[dict[str, Any], int], Entry]], ...] = (
    ("captureData", "SageMaker Data Capture", sagemaker),
    ("specversion", "KServe's logger", kserve),
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
    try:
        moment = datetime.fromisoformat(str(given).strip("[] "))
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
