"""OTLP's messages as protobuf: an ``ExportTraceServiceRequest`` of what stands in its JSON, and the answer.

Collectors must take both encodings, and some take this one alone (Arize Phoenix). By hand, as two messages
need no runtime; the tests hold this against the public definition.

https://github.com/open-telemetry/opentelemetry-proto/tree/main/opentelemetry/proto
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from loadtest.data.protobuf_wire import (
    EIGHT,
    FOUR,
    VARINT,
    as_bytes,
    read_fields,
    write_message,
    write_number,
    write_text,
)


def trace_request(request: Mapping[str, Any]) -> bytes:
    """The request, of its JSON."""
    return b"".join(write_message(1, _resource_spans(one)) for one in request["resourceSpans"])


def partial_success(answer: bytes) -> tuple[int, str]:
    """Of an ``ExportTraceServiceResponse``: how many spans were rejected, and why.

    Raises:
        ValueError: the bytes are none.
    """
    count, why = 0, ""
    for number, value in read_fields(answer):
        if number == 1:
            for inner, said in read_fields(as_bytes(value)):
                if inner == 1 and isinstance(said, int):
                    count = said
                elif inner == 2:
                    why = as_bytes(said).decode("utf-8", errors="replace")
    return count, why


def _resource_spans(one: Mapping[str, Any]) -> bytes:
    message = write_message(1, _attributes(1, one["resource"]["attributes"]))
    for scoped in one["scopeSpans"]:
        scope = write_text(1, scoped["scope"]["name"]) + write_text(2, scoped["scope"]["version"])
        spans = b"".join(write_message(2, _span(span)) for span in scoped["spans"])
        message += write_message(2, write_message(1, scope) + spans)
    return message


def _span(span: Mapping[str, Any]) -> bytes:
    status = span["status"]
    return b"".join(
        [
            write_message(1, bytes.fromhex(span["traceId"])),
            write_message(2, bytes.fromhex(span["spanId"])),
            write_text(5, span["name"]),
            _varint(6, span["kind"]),
            _eight(7, struct.pack("<Q", int(span["startTimeUnixNano"]))),
            _eight(8, struct.pack("<Q", int(span["endTimeUnixNano"]))),
            _attributes(9, span["attributes"]),
            write_message(
                15, write_text(2, status["message"]) + _varint(3, status["code"]) if status else b""
            ),
            write_number(16 << 3 | FOUR) + struct.pack("<I", span["flags"]),
        ]
    )


def _attributes(field: int, attributes: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(
        write_message(field, write_text(1, one["key"]) + write_message(2, _value(one["value"])))
        for one in attributes
    )


def _value(value: Mapping[str, Any]) -> bytes:
    ((kind, given),) = value.items()
    if kind == "boolValue":
        return _varint(2, given)
    if kind == "intValue":
        return _varint(3, int(given))
    return _eight(4, struct.pack("<d", given)) if kind == "doubleValue" else write_text(1, given)


def _varint(field: int, value: int) -> bytes:
    return write_number(field << 3 | VARINT) + write_number(value)


def _eight(field: int, content: bytes) -> bytes:
    return write_number(field << 3 | EIGHT) + content
