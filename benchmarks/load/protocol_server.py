"""The server of ``benchmarks.load.protocols``: one Envoy that answers REST, a service of one's own, and gRPC.

Envoy cannot answer gRPC with a body by itself: such a call goes on to a second listener of the same process,
which answers in HTTP/1.1, and a bridge makes gRPC of it. So gRPC costs this server more than the others.
"""

from __future__ import annotations

import base64
import json

from benchmarks.load.server import ANSWER, HTTP_FILTERS, METADATA, MODEL, listener
from loadtest.lab.free_ports import HOST

SCORE = "/score"
_SERVICE = "/inference.GRPCInferenceService/"
_GRPC_METADATA = (
    bytes.fromhex("0a016d")
    + bytes.fromhex("2216")
    + b"\n\x01x\x12\x04FP64\x1a\x0b"
    + b"\xff" * 9
    + b"\x01\x14"
)
"""A ``ModelMetadataResponse``: what ``METADATA`` says."""
_GRPC_ANSWER = b"\n\x01m\x12\x011*\x18\n\x07predict\x12\x05INT64\x1a\x01\x01*\x03\x1a\x01\x01"
"""A ``ModelInferResponse``: what ``ANSWER`` says."""


def config(port: int) -> dict[str, object]:
    """Envoy's configuration."""
    own = {"result": {"label": "1", "model": MODEL}}
    outer = [
        _answer(SCORE, json.dumps(own).encode(), "application/json"),
        _answer(f"/v2/models/{MODEL}/infer", json.dumps(ANSWER).encode(), "application/json"),
        _answer(f"/v2/models/{MODEL}", json.dumps(METADATA).encode(), "application/json"),
        {
            "match": {"prefix": _SERVICE},
            # else the inner listener would answer with an error of gRPC
            "request_headers_to_remove": ["content-type"],
            "route": {"cluster": "inner"},
        },
    ]
    inner = [
        _answer(f"{_SERVICE}ModelMetadata", _GRPC_METADATA, "application/grpc"),
        _answer(f"{_SERVICE}ModelInfer", _GRPC_ANSWER, "application/grpc"),
    ]
    bridge = {
        "name": "envoy.filters.http.grpc_http1_reverse_bridge",
        "typed_config": {
            "@type": f"{HTTP_FILTERS}.http.grpc_http1_reverse_bridge.v3.FilterConfig",
            "content_type": "application/grpc",
            "withhold_grpc_frames": True,
        },
    }
    pipe = {"pipe": {"path": f"@benchmarks-load-{port}"}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": pipe}}]}]
    # as many at once as the generator has in flight
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), 100_000)
    cluster = {
        "name": "inner",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {"cluster_name": "inner", "endpoints": endpoints},
    }
    here = {"socket_address": {"address": HOST, "port_value": port}}
    listeners = [listener("outer", here, outer, [bridge]), listener("inner", pipe, inner)]
    return {"static_resources": {"listeners": listeners, "clusters": [cluster]}}


def _answer(path: str, body: bytes, content_type: str) -> dict[str, object]:
    return {
        "match": {"path": path},
        "direct_response": {"status": 200, "body": {"inline_bytes": base64.b64encode(body).decode()}},
        "response_headers_to_add": [
            {
                "header": {"key": "content-type", "value": content_type},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ],
    }
