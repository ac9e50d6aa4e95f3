"""What goes to a collector is held against the messages that protobuf makes of the public definition."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.json_format import MessageToDict

from loadtest.publish.otlp_messages import partial_success, trace_request

# opentelemetry/proto/{collector/trace,trace,resource,common}/v1: the fields that are sent, by their numbers
DEFINITION = {
    "AnyValue": {
        "string_value": (1, "string"),
        "bool_value": (2, "bool"),
        "int_value": (3, "int64"),
        "double_value": (4, "double"),
    },
    "KeyValue": {"key": (1, "string"), "value": (2, "AnyValue")},
    "Status": {"message": (2, "string"), "code": (3, "int32")},
    "Span": {
        "trace_id": (1, "bytes"),
        "span_id": (2, "bytes"),
        "name": (5, "string"),
        "kind": (6, "int32"),
        "start_time_unix_nano": (7, "fixed64"),
        "end_time_unix_nano": (8, "fixed64"),
        "attributes": (9, "KeyValue*"),
        "status": (15, "Status"),
        "flags": (16, "fixed32"),
    },
    "Scope": {"name": (1, "string"), "version": (2, "string")},
    "ScopeSpans": {"scope": (1, "Scope"), "spans": (2, "Span*")},
    "Resource": {"attributes": (1, "KeyValue*")},
    "ResourceSpans": {"resource": (1, "Resource"), "scope_spans": (2, "ScopeSpans*")},
    "Request": {"resource_spans": (1, "ResourceSpans*")},
    "Partial": {"rejected_spans": (1, "int64"), "error_message": (2, "string")},
    "Response": {"partial_success": (1, "Partial")},
}
ATTRIBUTES = [
    {"key": "t", "value": {"stringValue": "K\u00f6ln"}},
    {"key": "b", "value": {"boolValue": True}},
    {"key": "i", "value": {"intValue": "-7"}},
    {"key": "d", "value": {"doubleValue": 0.1}},
]
SPAN = {
    "traceId": "0af7651916cd43dd8448eb211c80319c",
    "spanId": "b7ad6b7169203331",
    "flags": 1,
    "name": "request to stable",
    "kind": 3,
    "startTimeUnixNano": "1700000000801000001",
    "endTimeUnixNano": "1700000000820000000",
    "attributes": ATTRIBUTES,
    "status": {"code": 2, "message": "timeout"},
}
REQUEST = {
    "resourceSpans": [
        {
            "resource": {"attributes": ATTRIBUTES},
            "scopeSpans": [
                {"scope": {"name": "loadproof", "version": "1"}, "spans": [SPAN, {**SPAN, "status": {}}]}
            ],
        }
    ]
}


@pytest.fixture(scope="module")
def generated():
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="otlp.proto", package="otlp", syntax="proto3")
    for name, fields in DEFINITION.items():
        made = file.message_type.add(name=name)
        for called, (number, kind) in fields.items():
            label = field.LABEL_REPEATED if kind.endswith("*") else field.LABEL_OPTIONAL
            one = made.field.add(name=called, number=number, label=label)
            kind = kind.rstrip("*")
            if kind in DEFINITION:
                one.type, one.type_name = field.TYPE_MESSAGE, f".otlp.{kind}"
            else:
                one.type = getattr(field, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"otlp.{name}"))


def test_a_request_reads_as_its_json(generated):
    whole = generated("Request").FromString(trace_request(REQUEST))
    first, second = whole.resource_spans[0].scope_spans[0].spans
    assert (first.trace_id.hex(), first.span_id.hex()) == (SPAN["traceId"], SPAN["spanId"])
    assert not second.status.code
    read = MessageToDict(whole)
    for span, sent in zip(read["resourceSpans"][0]["scopeSpans"][0]["spans"], (SPAN, SPAN), strict=True):
        span |= {"traceId": sent["traceId"], "spanId": sent["spanId"]}
    del read["resourceSpans"][0]["scopeSpans"][0]["spans"][1]["status"]
    expected = {"resourceSpans": [dict(REQUEST["resourceSpans"][0])]}
    spans = [SPAN, {key: value for key, value in SPAN.items() if key != "status"}]
    expected["resourceSpans"][0]["scopeSpans"] = [
        {"scope": {"name": "loadproof", "version": "1"}, "spans": spans}
    ]
    assert read == expected


@pytest.mark.parametrize(
    ("partial", "found"),
    [
        (None, (0, "")),
        ({}, (0, "")),
        # 123 bytes: the message begins as JSON does
        ({"rejected_spans": 300, "error_message": "x" * 118}, (300, "x" * 118)),
    ],
)
def test_an_answer(generated, partial, found):
    answer = generated("Response")()
    if partial is not None:
        answer.partial_success.CopyFrom(generated("Partial")(**partial))
    assert partial_success(answer.SerializeToString()) == found


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"fine", "wire type 6"),
        (b"\x08\x01", "a number where a message is expected"),
        (b"\x0a\x05\x08", "breaks off"),
    ],
)
def test_what_is_no_answer(answer, says):
    with pytest.raises(ValueError, match=says):
        partial_success(answer)
