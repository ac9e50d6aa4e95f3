"""Logs as they are written: the excerpts are of public documentation and of other people's write-ups."""

import base64
import gzip
import json

import pytest

from loadtest.data.request_log import read_log
from loadtest.errors import DatasetError

# KServe's documentation of its inference logger, as message-dumper prints it
DUMPER = """☁️  cloudevents.Event
Validation: valid
Context Attributes,
  specversion: 1.0
  type: org.kubeflow.serving.inference.response
  source: http://localhost:9081/
  id: 689b15e7-84a1-4e89-9805-20809efc216d
  time: 2023-04-05T07:39:53.505997782Z
  datacontenttype: application/json
Extensions,
  component: predictor
  endpoint:
  inferenceservicename: sklearn-iris
  knativearrivaltime: 2023-04-05T07:39:53.507202247Z
Data,
  {
    "predictions": [
      1,
      1
    ]
  }


☁️  cloudevents.Event
Validation: valid
Context Attributes,
  specversion: 1.0
  type: org.kubeflow.serving.inference.request
  source: http://localhost:9081/
  id: 689b15e7-84a1-4e89-9805-20809efc216d
  time: 2023-04-05T07:39:53.501752983Z
  datacontenttype: application/x-www-form-urlencoded
Data,
  {"instances": [[6.8,  2.8,  4.8,  1.4],[6.0,  3.4,  4.5,  1.6]]}
"""
# a book on SageMaker, and the documentation of Amazon
CAPTURE = (
    '{"captureData":{"endpointInput":{"observedContentType":"text/csv","mode":"INPUT","data":"0.00632,18.00,'
    '2.310,0,0.5380,6.5750,65.20,4.0900,1,296.0,15.30,4.98","encoding":"CSV"},"endpointOutput":'
    '{"observedContentType":"text/csv; charset=utf-8","mode":"OUTPUT","data":"30.4133586884",'
    '"encoding":"CSV"}'
    "},"
    '"eventMetadata":{"eventId":"8f45e35c-fa44-40d2-8ed3-1bcab3a596f3","inferenceTime":"2020-07-30T13:36:30Z"},'
    '"eventVersion":"0"}'
)
# the log of Istio's Bookinfo, and one of Envoy's AI gateway
ISTIO = (
    '{"bytes_received":"0","bytes_sent":"178","authority":"details:9080","path":"/details/0","duration":"1",'
    '"response_code":"200","response_flags":"-","start_time":"2020-09-30T03:22:42.267Z","method":"GET"}'
)
ENVOY = (
    '{":authority":"us-central1-aiplatform.googleapis.com","bytes_received":166,"duration":24939,"method":"POST",'
    '"response_code":200,"start_time":"2026-01-14T09:10:53.669Z","x-forwarded-for":"10.42.0.13"}'
)
# what KServe's logger puts into a bucket since 0.19
STORED = json.dumps(
    {
        "url": {"Scheme": "s3", "Host": "logs"},
        "bytes": base64.b64encode(b'{"instances": [[6.8, 2.8]]}').decode(),
        "contentType": "application/json",
        "reqType": "org.kubeflow.serving.inference.request",
        "id": "0123",
        "occurrenceTime": "2026-08-21T19:26:03.123456789Z",
    }
)


def event(**fields):
    return json.dumps(
        {"specversion": "1.0", "type": "a.request", "time": "2026-01-01T00:00:01Z", "data": [1, 2]} | fields
    )


def capture(**given):
    return json.dumps(
        {"captureData": {"endpointInput": given}, "eventMetadata": {"inferenceTime": "2026-01-01"}}
    )


def read(tmp_path, text):
    (tmp_path / "log").write_text(text)
    return read_log(tmp_path / "log")


def rows(text, tmp_path):
    return read(tmp_path, text).entries[0].rows


def test_kserve_as_message_dumper_prints_it(tmp_path):
    log = read(tmp_path, DUMPER)
    (entry,) = log.entries
    assert (entry.line, entry.time) == (24, pytest.approx(1680680393.501753, abs=1e-5))
    assert entry.rows == ((6.8, 2.8, 4.8, 1.4), (6.0, 3.4, 4.5, 1.6))
    assert log.notes == ("lines left out: 1 (events of type org.kubeflow.serving.inference.response)",)


def test_kserve_as_a_bucket_has_it(tmp_path):
    answer = STORED.replace("inference.request", "inference.response")
    log = read(tmp_path, f"{STORED}\n{answer}\n")
    (entry,) = log.entries
    assert (entry.rows, entry.event) == (((6.8, 2.8),), "0123")
    assert entry.time == pytest.approx(1787340363.123456, abs=1e-5)
    assert log.notes == ("lines left out: 1 (events of type org.kubeflow.serving.inference.response)",)


def test_a_capture_of_sagemaker(tmp_path):
    (entry,) = read(tmp_path, CAPTURE).entries
    assert entry.rows == ((0.00632, 18.0, 2.31, 0, 0.538, 6.575, 65.2, 4.09, 1, 296.0, 15.3, 4.98),)
    assert entry.time == 1596116190


def test_a_merged_capture_has_the_label(tmp_path):
    merged = json.loads(CAPTURE) | {"groundTruthData": {"data": "1", "encoding": "CSV"}}
    assert read(tmp_path, json.dumps(merged)).entries[0].labels == ("1",)


def test_envoys_access_log_has_times_and_no_rows(tmp_path):
    log = read(tmp_path, f"{ISTIO}\n{ENVOY}\n")
    assert [(e.line, e.time, e.rows) for e in log.entries] == [(2, 1768381853.669, None)]
    assert log.notes == ("lines left out: 1 (method GET, no prediction)",)


@pytest.mark.parametrize(
    "line",
    [
        # Traefik's and nginx's own JSON, whose time has our name
        '{"time":"2023-01-01T00:00:00Z","RequestMethod":"METHOD","RequestPath":"/predict","level":"info"}',
        '{"time":"2023-01-01T00:00:00+00:00","request_method":"METHOD","status":200}',
        # Envoy told to write seconds: %START_TIME(%s.%3f)%
        '{"start_time":"1672531200.000","method":"METHOD"}',
    ],
)
def test_only_the_posts_of_other_access_logs_are_replayed(tmp_path, line):
    log = read(tmp_path, line.replace("METHOD", "GET") + "\n" + line.replace("METHOD", "POST"))
    assert [(e.line, e.time) for e in log.entries] == [(2, 1672531200)]
    assert log.notes == ("lines left out: 1 (method GET, no prediction)",)


def test_a_connection_that_is_not_http_is_no_request(tmp_path):
    # as Istio logs what a service says to its database
    tcp = json.dumps(json.loads(ENVOY) | {"method": None, "response_code": 0})
    log = read(tmp_path, f"{tcp}\n{ENVOY}\n")
    assert [entry.line for entry in log.entries] == [2]
    assert log.notes == ("lines left out: 1 (method -, no prediction)",)


def test_an_event_that_was_delivered_twice_is_sent_once(tmp_path):
    # Knative delivers at least once; an id that its caller reuses later is another request
    one, later = event(id="e7"), event(id="e7", time="2026-01-01T00:00:02Z")
    log = read(tmp_path, "\n".join([one, one, event(id="e8"), later, event(), event()]))
    assert [entry.line for entry in log.entries] == [1, 3, 4, 5, 6]
    assert log.notes == ("lines left out: 1 (copies: the id and the time are those of a line before)",)


def test_our_own(tmp_path):
    text = '{"time": 3, "body": {"a": 1, "b": null}, "user": 7, "label": true}\n\n{"time": 4.5, "row": 2}\n'
    one, two = read(tmp_path, text).entries
    assert (one.line, one.time, one.rows) == (1, 3.0, ({"a": 1, "b": None},))
    assert (one.users, one.labels) == (("7",), (True,))
    assert (two.line, two.time, two.rows, two.numbers) == (3, 4.5, None, (2,))


def test_what_is_said_of_each_of_several_rows(tmp_path):
    text = (
        '{"time": 1, "body": [[1], [2]], "labels": ["x", null], "users": [1, "b"], "id": 7}\n'
        '{"time": 2, "rows": [4, 0, 4], "user": "c"}\n'
    )
    one, two = read(tmp_path, text).entries
    assert (one.labels, one.users, one.event) == (("x", None), ("1", "b"), "7")
    assert (two.numbers, two.users, two.labels) == ((4, 0, 4), ("c", "c", "c"), None)


@pytest.mark.parametrize(
    ("data", "encoding", "labels"),
    [
        # a line per row, commas, quotes; Amazon says no more than "CSV"
        ("1\n0\n", "CSV", ("1", "0")),
        ("1,0", "CSV", ("1", "0")),
        ('"a, b"\nc', "CSV", ("a, b", "c")),
        ("[1, null]", "JSON", (1, None)),
        (base64.b64encode(b"1\n0").decode(), "BASE64", ("1", "0")),
    ],
)
def test_a_merged_capture_of_several_rows(tmp_path, data, encoding, labels):
    both = json.loads(capture(data="1,2\n3,4\n", encoding="CSV"))
    line = json.dumps(both | {"groundTruthData": {"data": data, "encoding": encoding}})
    assert read(tmp_path, line).entries[0].labels == labels


def test_the_id_of_a_request_is_its_callers_before_sagemakers_own(tmp_path):
    line = json.loads(CAPTURE)
    assert read(tmp_path, json.dumps(line)).entries[0].event == "8f45e35c-fa44-40d2-8ed3-1bcab3a596f3"
    line["eventMetadata"]["inferenceId"] = "order-7"
    assert read(tmp_path, json.dumps(line)).entries[0].event == "order-7"
    assert read(tmp_path, DUMPER).entries[0].event == "689b15e7-84a1-4e89-9805-20809efc216d"


def test_a_packed_log_is_read(tmp_path):
    (tmp_path / "log.gz").write_bytes(gzip.compress(ENVOY.encode()))
    assert len(read_log(tmp_path / "log.gz").entries) == 1


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (event(data={"instances": [{"a": 1}]}), ({"a": 1},)),
        (event(data='{"instances": [1, 2]}'), ((1,), (2,))),  # as text; scalars are rows of one
        (event(data_base64=base64.b64encode(b"[[1, 2]]").decode()), ((1, 2),)),
        # the Open Inference Protocol: one tensor, also nested, and one a column
        (
            event(data={"inputs": [{"name": "x", "shape": [2, 2], "data": [1, 2, 3, 4]}]}),
            ((1, 2), (3, 4)),
        ),
        (event(data={"inputs": [{"name": "x", "shape": [1, 2], "data": [[1, 2]]}]}), ((1, 2),)),
        (
            event(
                data={
                    "inputs": [
                        {"name": "a", "shape": [2], "data": [1, 2]},
                        {"name": "b", "shape": [2, 1], "data": ["x", None]},
                    ]
                }
            ),
            ({"a": 1, "b": "x"}, {"a": 2, "b": None}),
        ),
        # MLflow behind SageMaker
        (
            capture(
                observedContentType="application/json",
                encoding="JSON",
                data='{"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"]]}}',
            ),
            ({"a": 1, "b": "x"},),
        ),
        (
            capture(
                data=base64.b64encode(b"1,2\n3,4\n").decode(),
                encoding="BASE64",
                observedContentType="text/csv",
            ),
            ((1, 2), (3, 4)),
        ),
        # JSON lines of SageMaker's built-in algorithms, which Amazon packs unless told otherwise
        (
            capture(
                data=base64.b64encode(b'{"features": [1.5, 16]}\n{"features": [2, 3]}\n').decode(),
                encoding="BASE64",
                observedContentType="application/jsonlines",
            ),
            ((1.5, 16), (2, 3)),
        ),
        # TensorFlow Serving and MLflow by columns, Seldon
        (event(data={"inputs": [[1, 2]]}), ((1, 2),)),
        (event(data={"inputs": {"a": [1, 2], "b": ["x", "y"]}}), ({"a": 1, "b": "x"}, {"a": 2, "b": "y"})),
        (event(data={"data": {"names": ["a", "b"], "ndarray": [[1, 2]]}}), ({"a": 1, "b": 2},)),
        # text, codes, gaps and quotes
        (capture(data='007,"a, b",,1e3,-0.5\n', encoding="CSV"), (("007", "a, b", None, 1000.0, -0.5),)),
    ],
)  # fmt: skip
def test_the_rows_of_a_body(line, expected, tmp_path):
    assert rows(line, tmp_path) == expected


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "line 2: not JSON"),
        ("[1]", "line 2: is no JSON object"),
        ('{"a": 1}', "line 2: has no time"),
        ('{"time": NaN}', "NaN is no JSON"),
        ('{"time": "noon"}', "time 'noon' is neither seconds nor"),
        ('{"time": 1768381853669}', "is not in seconds"),  # milliseconds
        ('{"time": true}', "time True is neither"),
        ('{"time": 1, "row": -1}', "row -1 is no number of a row"),
        ('{"time": 1, "row": 1, "body": [1]}', "has a row and a body"),
        ('{"time": 1, "body": 5}', "neither an object nor a list"),
        ('{"time": 1, "body": {}}', "a row has no cells"),
        ('{"time": 1, "body": {"a": [1]}}', "cell 'a' of the body is a list"),
        ('{"time": 1, "body": [{"a": 1}, {"a": 2}], "label": 1}', "one label for 2 rows; write labels"),
        ('{"time": 1, "body": [{"a": 1}, {"a": 2}], "labels": [1]}', "has 1 labels for 2 rows"),
        ('{"time": 1, "body": [{"a": 1}], "labels": 1}', "labels is no list; of one row write label"),
        ('{"time": 1, "body": [{"a": 1}], "labels": [[1]]}', "one of its labels is neither text nor"),
        ('{"time": 1, "body": [{"a": 1}], "label": 1, "labels": [1]}', "has label and labels"),
        ('{"time": 1, "body": [{"a": 1}], "users": ["a", "b"]}', "has 2 users for 1 row;"),
        ('{"time": 1, "body": [{"a": 1}], "user": 1, "users": ["a"]}', "has user and users"),
        ('{"time": 1, "rows": []}', "rows is an empty list"),
        ('{"time": 1, "rows": [0, 1.5]}', "row 1.5 is no number of a row"),
        ('{"time": 1, "row": [0, 1]}', "row [0, 1] is no number of a row"),
        (
            json.dumps(json.loads(capture(data="1\n2", encoding="CSV")) | {"groundTruthData": {"data": "1"}}),
            "groundTruthData has 1 labels for 2 rows",
        ),
        (
            '{"time": 1, "body": {"inputs": [{"name": "x", "shape": [2, 2], "data": [1]}]}}',
            "has 1 values, not",
        ),
        (
            '{"time": 1, "body": {"inputs": {"a": [1], "b": [1, 2]}}}',
            "cell 'inputs' of the body is an object",
        ),
        ('{"time": 1, "body": {"customer": {"age": 41}}}', "write the cells alone, by the names of"),
        ('{"time": 1, "body": ' + "[" * 100_000, "line 2: "),  # deeper than Python goes
    ],
)
def test_bad_lines_are_named(line, says, tmp_path):
    with pytest.raises(DatasetError, match="mend or remove it") as error:
        read(tmp_path, '{"time": 1, "row": 0}\n' + line)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (event(data="{"), "what was sent is not JSON"),
        (event(data_base64="?"), "not text in Base64"),
        (event(data=None), "neither an object nor a list"),
        (capture(mode="INPUT"), "captures no input"),
        (capture(data="1", encoding="BASE64"), "not text in Base64"),
        (capture(data="xyz", observedContentType="image/png", encoding="NONE"), "neither CSV nor JSON"),
        (capture(data="", encoding="CSV"), "the body is empty"),
        (capture(data="MSwy", encoding="BASE64", observedContentType=None), "the input is BASE64, neither"),
        ('{"ReqType": "a.request", "Bytes": "MQ=="}', "put into a bucket before 0.19, without a time"),
        ('{"reqType": "a.request", "bytes": "MQ=="}', "put into a bucket before 0.19, without a time"),
        (DUMPER.replace('{"instances"', '{"instances'), "line 24: the data of the event is not JSON"),
    ],
)
def test_bad_events_are_named(line, says, tmp_path):
    with pytest.raises(DatasetError, match="mend or remove it") as error:
        read(tmp_path, line)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        (ISTIO, r"holds no request; lines left out: 1 \(method GET"),
        ('{"time": 1}\n' + "{\n" * 5, "line 4: .*; and 2 more; mend or remove them"),
        # indented, as Amazon's documentation shows a capture; files put one after the other
        (json.dumps(json.loads(CAPTURE), indent=2), r"line 1 is not one JSON object; .* jq -c \. "),
        (STORED + STORED, r"line 1 is not one JSON object; .* jq -c \. "),
        # around the log of a container
        ("[pod/shop-0/istio-proxy] " + ISTIO, r"line 1 has '\[pod/shop-0/istio-proxy\] ' before"),
        ("envoy-1  | " + ISTIO, r"line 1 has 'envoy-1  \| ' before what the server wrote"),
        ("2021-08-06T06:05:47.068123Z stdout F " + ISTIO, "line 1 has '.* stdout F ' before"),
        (
            json.dumps({"log": ENVOY, "stream": "stdout", "time": "2026-01-14T09:10:53Z"}),
            "is what Docker stores; .* jq -j .log ",
        ),
        ("2023-05-02T01:45:04Z\tinfo\txdsproxy\tconnected\n" + ISTIO, "keep those of its access log: grep"),
        # a key that nothing here knows
        ('{"accessed_at": "2026-01-14T09:10:53Z", "body": {"age": 41}}', "has no time"),
        (f"{ENVOY}\n{CAPTURE}", "line 1 is of an access log, line 2 of SageMaker Data Capture"),
    ],
)
def test_a_log_that_is_none(text, says, tmp_path):
    with pytest.raises(DatasetError, match=says):
        read(tmp_path, text)


def test_a_line_without_end(tmp_path):
    (tmp_path / "log").write_bytes(b'{"time": 1}\n' + b" " * (5 * 2**20))
    with pytest.raises(DatasetError, match="line 2 is longer than 4 MiB"):
        read_log(tmp_path / "log")


def test_a_folder_and_what_is_not_there(tmp_path):
    with pytest.raises(DatasetError, match="is a folder"):
        read_log(tmp_path)
    with pytest.raises(DatasetError, match="no such file"):
        read_log(tmp_path / "log")


def test_a_packed_log_that_is_cut_short(tmp_path):
    (tmp_path / "log.gz").write_bytes(gzip.compress(ENVOY.encode())[:-10])
    with pytest.raises(DatasetError, match="not readable"):
        read_log(tmp_path / "log.gz")
