"""The samples of a run at a collector: what is sent, how often, and what is said of what was not taken."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from loadtest.data.trace_context import TraceContext
from loadtest.errors import TargetError, UsageError
from loadtest.publish.otlp import Answer, Collector
from loadtest.publish.spans import BATCH
from loadtest.publish.stored_verdict import read_verdict
from tests.loadtest.made_samples import Sample, sample_set

RUN, ZERO = "1f6a20c1b7d4", 1_700_000_000.5
URL = "https://ann:sesame@otel.example:4318/sesame/v1/traces"
FAILED, CHANGED = 3, 5


def samples_of(arrivals):
    return sample_set(
        Sample(
            row, role, row / 10, row / 10 + 0.001, row / 10 + 0.02,
            0 if row == FAILED else 200, "timeout" if row == FAILED else None,
            None if row == FAILED else "rosebud", row != FAILED,
            None if row == FAILED else row != CHANGED, 0, f"user-{row}", "rosebud",
            timings=[None, 0.002, None, 0.0, 0.017, None],
        )
        for row in range(arrivals)
        for role in ("stable", "candidate")
    )  # fmt: skip


@pytest.fixture
def traced(store):
    def make(arrivals=20, trace=True, rates=(), **load):
        folder = store(load={"trace": trace}, rates=rates)
        facts = {"offered_rps": 1, "achieved_rps": 1, "duration_s": 2, "run": RUN, "began_at": ZERO} | load
        for part in [folder / f"rate-{rate}" for rate in rates] or [folder]:
            part.mkdir(exist_ok=True)
            (part / "experiment.toml").write_text((folder / "experiment.toml").read_text())
            samples_of(arrivals).write(part / "samples.parquet")
            (part / "load.json").write_text(json.dumps(facts))
        return read_verdict(folder)

    return make


class World:
    """A collector that answers what it is told to, then 200, and a clock that nobody waits for."""

    def __init__(self, *answers, seconds=0.0, protocol="http/json"):
        self.protocol = protocol
        self.answers, self.now, self.got, self.waited, self.seconds = list(answers), 0.0, [], [], seconds

    def post(self, url, body, headers, seconds):
        self.now += self.seconds
        self.got.append((url, body, headers))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Answer) else Answer(answer)

    def sleep(self, seconds):
        self.waited.append(seconds)
        self.now += seconds

    def collector(self):
        return Collector(URL, {"x-key": "k"}, "lab", self.post, lambda: self.now, self.sleep, self.protocol)

    def spans(self):
        return [
            span
            for _, body, _ in self.got
            for resource in json.loads(body)["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]


def test_each_sample_is_a_span(traced):
    world = World()
    assert world.collector().deliver(traced()) == "OTLP: otel.example has 40 spans"
    spans = world.spans()
    carried = {TraceContext(RUN).ids(0, row, row / 10, role) for row in range(20) for role in (0, 1)}
    assert {(span["traceId"], span["spanId"]) for span in spans} == carried
    assert len(spans) == 40
    ((url, body, headers),) = world.got
    assert (url, headers["x-key"], headers["content-type"]) == (URL, "k", "application/json")
    (resource,) = json.loads(body)["resourceSpans"]
    assert {"key": "service.name", "value": {"stringValue": "lab"}} in resource["resource"]["attributes"]
    (span,) = (s for s in spans if s["spanId"] == TraceContext(RUN).ids(0, FAILED, FAILED / 10, 1).span_id)
    assert span == {
        "traceId": TraceContext(RUN).ids(0, FAILED, FAILED / 10, 1).trace_id,
        "spanId": span["spanId"],
        "flags": 1,
        "name": "request to candidate",
        "kind": 3,
        "startTimeUnixNano": "1700000000801000000",
        "endTimeUnixNano": "1700000000820000000",
        "attributes": [
            {"key": "loadproof.role", "value": {"stringValue": "candidate"}},
            {"key": "loadproof.row", "value": {"intValue": "3"}},
            {"key": "loadproof.latency_ms", "value": {"doubleValue": pytest.approx(20)}},
            {"key": "error.type", "value": {"stringValue": "timeout"}},
            {"key": "loadproof.connect_ms", "value": {"doubleValue": pytest.approx(2)}},
            {"key": "loadproof.send_ms", "value": {"doubleValue": 0.0}},
            {"key": "loadproof.wait_ms", "value": {"doubleValue": pytest.approx(17)}},
        ],
        "status": {"code": 2, "message": "timeout"},
    }


def test_rows_answers_and_ids_of_requests_stay_here(traced):
    world = World()
    world.collector().deliver(traced())
    sent = b"".join(body for _, body, _ in world.got)
    assert b"rosebud" not in sent
    assert b"user-" not in sent


def test_what_matters_comes_first_and_batches_are_bounded(traced):
    world = World()
    world.collector().deliver(traced(arrivals=2 * BATCH))
    sizes = [len(json.loads(body)["resourceSpans"][0]["scopeSpans"][0]["spans"]) for _, body, _ in world.got]
    assert sizes == [BATCH] * 4
    first = [
        {a["key"]: a["value"] for a in span["attributes"]}["loadproof.row"]["intValue"]
        for span in world.spans()[:BATCH]
    ]
    # both requests of the arrival
    assert first.count(str(FAILED)) == first.count(str(CHANGED)) == 2


def test_a_run_at_several_rates_is_sent_in_one(traced):
    world = World()
    assert world.collector().deliver(traced(rates=(20, 40))).endswith("has 80 spans")


PARTIAL = b'{"partialSuccess":{"rejectedSpans":"5","errorMessage":"too old,\\u001b https://h/sesame"}}'


@pytest.mark.parametrize(
    ("answers", "waits", "error"),
    [
        ([202], [], None),
        # what the collector itself answers, and an answer that is no JSON
        ([Answer(200, b'{"partialSuccess":{}}')], [], None),
        ([Answer(200, b"fine")], [], None),
        ([ConnectionError(URL), 503, 200], [1.0, 2.0], None),
        ([429, 200], [1.0], None),
        # no attempt more will help
        ([400], [], "answers HTTP 400; 40 of 40 spans were not taken"),
        ([401], [], "answers HTTP 401; 40 of 40"),
        ([307], [], "answers HTTP 307; 40 of 40"),
        ([500], [], "answers HTTP 500; 40 of 40"),
        ([504] * 5, [1.0, 2.0, 4.0, 8.0], "answers HTTP 504; 40 of 40"),
        ([TimeoutError(URL)] * 5, [1.0, 2.0, 4.0, 8.0], r"does not answer \(TimeoutError\); 40 of 40"),
        # more than there were
        ([Answer(200, PARTIAL.replace(b"5", b"99"))], [], "; 40 of 40 spans were not taken$"),
        ([Answer(200, PARTIAL)], [], r"rejects some: too old,  https://h; 5 of 40 spans were not taken$"),
    ],
)
def test_attempts(traced, answers, waits, error):
    world = World(*answers)
    if error is None:
        world.collector().deliver(traced())
    else:
        with pytest.raises(TargetError, match=error) as refused:
            world.collector().deliver(traced())
        assert "sesame" not in str(refused.value)
    assert world.waited == waits
    assert len(world.got) == len(answers)


def test_what_time_is_too_short_for_is_counted(traced):
    world = World(seconds=25.0)
    with pytest.raises(TargetError, match="within 60 s; 1,000 of 4,000 spans were not taken"):
        world.collector().deliver(traced(arrivals=2 * BATCH))
    assert len(world.got) == 3


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318"}, "http://h:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h/otlp/"}, "http://h/otlp/v1/traces"),
        # that of traces is taken as it is, and before the other
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t/x"},
            "http://t/x",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            "http://h/v1/traces",
        ),
    ],
)
def test_where_to(environment, url):
    collector = Collector.from_environment(environment)
    assert (collector and collector._url) == url


@pytest.mark.parametrize(
    ("environment", "content"),
    [
        # as the specification has it where nothing is said
        ({}, "application/x-protobuf"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "application/x-protobuf"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "application/json"),
        (
            {
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            },
            "application/x-protobuf",
        ),
    ],
)
def test_in_which_encoding(environment, content):
    collector = Collector.from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h"} | environment)
    assert collector._headers["content-type"] == content


def test_headers_of_the_environment():
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h",
        "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic%20YTpi, x-scope = all ,",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-scope=traces=1",
    }
    headers = Collector.from_environment(environment)._headers
    assert (headers["authorization"], headers["x-scope"]) == ("Basic YTpi", "traces=1")


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "sesame:4318", "is no URL of http or https"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://h:sesame", "is no URL of http or https"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "PROTOCOL is grpc, and spans are sent over HTTP"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "sesame", "PROTOCOL is neither http/protobuf nor http/json"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "sesame", "reads name=value,name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=sesame", "reads name=value,name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "key=sesame%0D%0Ax: y", "the value of key is no header's"),
    ],
)
def test_what_cannot_be_used(variable, value, says):
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318", variable: value}
    with pytest.raises(UsageError, match=says) as refused:
        Collector.from_environment(environment)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({"trace": False}, "carried no trace context"),
        # of a load generator that did not write what names its requests
        ({"run": None}, "carried no trace context"),
        ({"began_at": None}, "carried no trace context"),
        ({"duration_s": "sesame"}, "load.json: not readable"),
    ],
)
def test_a_run_that_has_no_spans(traced, made, says):
    with pytest.raises(UsageError, match=says):
        World().collector().deliver(traced(**made))


def test_over_a_socket(traced):
    got = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "21")
            self.end_headers()
            self.wfile.write(b'{"partialSuccess":{}}')

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-key=k",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
        }
        Collector.from_environment(environment).deliver(traced())
        server.shutdown()
    ((path, headers, body),) = got
    assert (path, headers["x-key"]) == ("/v1/traces", "k")
    assert len(json.loads(body)["resourceSpans"][0]["scopeSpans"][0]["spans"]) == 40
