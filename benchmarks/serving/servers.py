"""The servers that are compared: how each is installed, started and asked."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.lab.processes.limits import LARGE_PAGES

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "bench-serving"
"""Environments, models, and what is measured so far."""

_PEERS = Path(__file__).parent / "peers"
_OUR_LIST = ROOT / "requirements" / "model_server.txt"


@dataclass(frozen=True)
class Server:
    """One server under test.

    Args:
        name: its name in the results.
        title: what it is, for people.
        needs: the requirements of its environment: pinned ones, or a list with hashes.
        more: pinned requirements beside such a list.
        command: (folder of its environment's programs, folder of the model, port) to its command.
        models: the models that it is measured with.
        path: where it is asked.
        environ: variables for it.
    """

    name: str
    title: str
    needs: tuple[str, ...] | Path
    command: Callable[[Path, Path, int], list[str]]
    models: tuple[str, ...] = ("forest", "regression")
    path: str = "/v2/models/bench/infer"
    environ: dict[str, str] = field(default_factory=dict)
    more: tuple[str, ...] = ()

    @property
    def environment(self) -> str:
        """Servers with the same needs share an environment."""
        return "loadproof" if isinstance(self.needs, Path) and not self.more else self.name

    def request(self, number: int, row: list[float]) -> bytes:
        """One HTTP request for one row, whole."""
        document: object = {"rows": [row]}
        if self.path.startswith("/v2"):
            tensor = {"name": "features", "shape": [1, len(row)], "datatype": "FP64", "data": row}
            document = {"id": f"row-{number}", "inputs": [tensor]}
        body = json.dumps(document).encode()
        head = f"POST {self.path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def label(self, body: bytes) -> int:
        """The label in an answer to one row."""
        if not self.path.startswith("/v2"):
            return int(json.loads(body)[0])
        return int(json.loads(body)["outputs"][0]["data"][0])

    def variables(self, model: Path) -> dict[str, str]:
        """The environment of its process: one thread a library, as inside a CPU limit one should."""
        # its programs are found beside its own Python, and nothing of ours is
        kept = {name: value for name, value in os.environ.items() if not re.match("PYTHON|VIRTUAL_ENV", name)}
        threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
        places = {"BENCH_MODEL": str(model / "model.joblib"), "PYTHONPATH": str(_PEERS)}
        return kept | threads | places | self.environ


def _loadproof(programs: Path, model: Path, port: int) -> list[str]:
    return [
        str(programs / "python"), "-m", "services.model_server", "--model-dir", str(model / "loadproof"),
        "--port", str(port),
    ]  # fmt: skip


SERVERS = (
    Server(
        "loadproof-onnx",
        "Loadproof, compiled to ONNX",
        _OUR_LIST,
        _loadproof,
        # a linear model is not compiled: numpy gives scikit-learn's own answer as fast
        models=("forest",),
        environ={"PYTHONPATH": str(ROOT)} | LARGE_PAGES,
    ),
    Server(
        "loadproof",
        "Loadproof, not compiled",
        _OUR_LIST,
        _loadproof,
        environ={"PYTHONPATH": str(ROOT), "COMPILE": "off"} | LARGE_PAGES,
    ),
    Server(
        "mlserver",
        "MLServer 1.7, adaptive batching",
        ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "scikit-learn==1.9.1", "numpy==2.4.6"),
        lambda programs, model, _: [str(programs / "mlserver"), "start", str(model / "mlserver")],
        environ={"MLSERVER_PARALLEL_WORKERS": "0", "MLSERVER_DEBUG": "false", "MLSERVER_HOST": "127.0.0.1"},
    ),
    Server(
        "bentoml",
        "BentoML 1.4, adaptive batching",
        ("bentoml==1.4.39", "scikit-learn==1.9.1", "numpy==2.4.6"),
        lambda programs, _, port: [
            str(programs / "bentoml"), "serve", "bento:Bench", "--host", "127.0.0.1", "--port", str(port),
        ],
        path="/predict",
        environ={"BENTOML_DO_NOT_TRACK": "True"},
    ),
    Server(
        "gunicorn",
        "Flask on gunicorn, sync worker",
        ("gunicorn==27.0.1", "flask==3.1.3", "scikit-learn==1.9.1", "numpy==2.4.6"),
        lambda programs, _, port: [
            str(programs / "gunicorn"), "--bind", f"127.0.0.1:{port}", "plain_flask:app",
        ],
    ),
    Server(
        "floor",
        "granian, an empty WSGI function",
        ("granian==2.8.7",),
        lambda programs, _, port: [
            str(programs / "granian"), "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
            "--http", "1", "--no-ws", "--blocking-threads", "1", "--log-level", "error", "floor:app",
        ],
        models=("none",),
    ),
)  # fmt: skip


def ports_of(server: Server, port: int) -> dict[str, str]:
    """Variables for a server that opens more than one port, or takes its port from there."""
    if server.name != "mlserver":
        return {}
    names = ("MLSERVER_HTTP_PORT", "MLSERVER_GRPC_PORT", "MLSERVER_METRICS_PORT")
    return {name: str(port + offset) for offset, name in enumerate(names)}
