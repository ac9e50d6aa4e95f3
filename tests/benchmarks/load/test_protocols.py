"""docs/load.md says what was measured of each protocol."""

import json

import pytest
from tritonclient.grpc import service_pb2 as generated

from benchmarks.load import protocol_server
from benchmarks.load.protocols import RESULTS, TARGETS, bar, table
from benchmarks.load.report import PAGE
from loadtest.load.protocols import PROTOCOLS

STORED = json.loads(RESULTS.read_text())


def test_the_table_is_that_of_the_results():
    assert table(STORED) in PAGE.read_text()
    assert set(TARGETS) <= set(PROTOCOLS)


@pytest.mark.parametrize(
    ("cost", "met"),
    [
        # half of the rate, to the point; less
        (2.0, True),
        (2.1, False),
    ],
)
def test_the_bar(cost, met):
    plain = {"worker_us": 100.0, "lag_ms_p99": 1.0}
    slower = {"worker_us": 100.0 * cost, "lag_ms_p99": 1.0}
    results = STORED | {"rounds": [{"oip": plain, "template": plain, "oip-grpc": slower}]}
    assert bar(results) is met
    assert ("**missed**" in table(results)) is not met


def test_the_server_answers_what_grpc_would():
    answer = generated.ModelInferResponse(model_name="m", model_version="1")
    answer.outputs.add(name="predict", datatype="INT64", shape=[1]).contents.int64_contents.append(1)
    assert answer.SerializeToString() == protocol_server._GRPC_ANSWER
    metadata = generated.ModelMetadataResponse(name="m")
    metadata.inputs.add(name="x", datatype="FP64", shape=[-1, 20])
    assert metadata.SerializeToString() == protocol_server._GRPC_METADATA
