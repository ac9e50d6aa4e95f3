"""A server that is never the bottleneck: Envoy answers every request itself, on a core of its own."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from contract.headers import MODEL_VERSION
from loadtest.experiment.role import ROLES
from loadtest.fetch import get
from loadtest.lab.free_ports import HOST, free_port
from loadtest.lab.local.envoy import find_envoy

MODEL = "m"
FEATURES = 20
_START_SECONDS = 20
METADATA = {"name": MODEL, "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, FEATURES]}]}
ANSWER = {
    "model_name": MODEL,
    "model_version": "1",
    "outputs": [{"name": "predict", "datatype": "INT64", "shape": [1], "data": [1]}],
}
HTTP_FILTERS = "type.googleapis.com/envoy.extensions.filters"


def _route(method: str, answer: object, version: str) -> dict[str, object]:
    headers = [
        {"name": name, "string_match": {"exact": value}}
        for name, value in ((":method", method), (MODEL_VERSION, version))
    ]
    return {
        "match": {"prefix": f"/v2/models/{MODEL}", "headers": headers},
        "direct_response": {"status": 200, "body": {"inline_string": json.dumps(answer)}},
        "response_headers_to_add": [
            {"header": {"key": "content-type", "value": "application/json"}},
            {"header": {"key": MODEL_VERSION, "value": version}},
        ],
    }


def listener(name: str, address: object, routes: object, filters: Sequence[object] = ()) -> dict[str, object]:
    """A listener of Envoy's that passes whole requests through ``filters`` and answers them by ``routes``."""
    manager = {
        "@type": f"{HTTP_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            *filters,
            # waits for the whole request: an answer before its end would cost the connection
            {
                "name": "envoy.filters.http.buffer",
                "typed_config": {
                    "@type": f"{HTTP_FILTERS}.http.buffer.v3.Buffer",
                    "max_request_bytes": 65536,
                },
            },
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{HTTP_FILTERS}.http.router.v3.Router"},
            },
        ],
    }
    filter_ = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return {"name": name, "address": address, "filter_chains": [{"filters": [filter_]}]}


def _config(port: int) -> dict[str, object]:
    routes = [
        _route(method, answer, version)
        for version in ROLES
        for method, answer in (("POST", ANSWER), ("GET", METADATA))
    ]
    address = {"socket_address": {"address": HOST, "port_value": port}}
    return {"static_resources": {"listeners": [listener("bench", address, routes)]}}


class Server:
    """A running server."""

    def __init__(self, url: str, process: psutil.Process) -> None:
        self.url = url
        self._process = process

    def cpu_seconds(self) -> float:
        """CPU time that it has used."""
        used = self._process.cpu_times()
        return float(used.user + used.system)


@contextmanager
def running(
    core: int,
    config: Callable[[int], Mapping[str, object]] = _config,
    headers: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A server that runs on CPU ``core`` and is stopped afterwards.

    Args:
        core: index of the CPU.
        config: Envoy's for a port; it must answer for the metadata of the model.
        headers: with which this is asked.
    """
    headers = {MODEL_VERSION: ROLES[0]} if headers is None else headers
    port = free_port()
    url = f"http://{HOST}:{port}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "envoy.json"
        path.write_text(json.dumps(config(port)))
        command = [str(find_envoy()), "-c", str(path), "--concurrency", "1", "--disable-hot-restart"]
        process = subprocess.Popen([*command, "--log-level", "error"])
        try:
            os.sched_setaffinity(process.pid, {core})
            deadline = time.monotonic() + _START_SECONDS
            while get(f"{url}/v2/models/{MODEL}", 1, headers) is None:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the server did not start")
                time.sleep(0.05)
            yield Server(url, psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait()
