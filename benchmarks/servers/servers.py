"""The servers: how each is installed and started, and in which ways it is tried."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "bench-servers"
"""Environments, models, runs, and what is tried so far."""

PROGRAMS = Path(__file__).parent / "programs"
_COMMON = ("scikit-learn==1.9.1", "numpy==2.4.6", "palmerpenguins==0.1.6")


@dataclass(frozen=True)
class Trial:
    """One way to ask a server.

    Args:
        protocol: Loadproof's word for it.
        rows: what a row is made of, for people.
        data: name of the evaluation set.
        model: the model's name there; None: that of the evaluation set.
        target: more keys of ``[target]``.
        is_scored: whether the answers are held against each other by their scores.
    """

    protocol: str
    rows: str
    data: str
    model: str | None = None
    target: dict[str, str] = field(default_factory=dict)
    is_scored: bool = False

    @property
    def served(self) -> str:
        """The model's name."""
        return self.model or self.data.partition("-")[0]


_BY_GRPC = (
    Trial("oip-grpc", "numbers", "cancer"),
    Trial("oip-grpc", "scores", "cancer", is_scored=True),
    Trial("oip-grpc", "text", "penguins-whole"),
)


@dataclass(frozen=True)
class Server:
    """One server.

    Args:
        name: its name in the results.
        title: its name for people.
        needs: pinned requirements of its environment, the server itself first.
        command: (folder of its environment's programs, folder of the models, port, name of the model) to its
            command; gRPC is on the next port.
        trials: the ways to ask it.
        models: the script that writes its models.
        is_alone: whether a process serves one model only.
        environ: variables for it; ``{port}``, ``{grpc}`` and ``{metrics}`` are filled in.
        says: what it prints once its models are there, if it listens before.
        debian: packages of Debian 12 that it needs besides: PyPI's torch brings 4 GB of CUDA.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    command: Callable[[Path, Path, int, str], list[str]]
    trials: tuple[Trial, ...]
    models: str = "models.py"
    is_alone: bool = False
    environ: dict[str, str] = field(default_factory=dict)
    says: str = ""
    debian: str = ""

    @property
    def version(self) -> str:
        """Its version."""
        return self.needs[0].partition("==")[2]

    def variables(self, folder: Path, port: int) -> dict[str, str]:
        """The environment of its process: nothing of ours, and one thread per library."""
        kept = {name: value for name, value in os.environ.items() if not re.match("PYTHON|VIRTUAL_ENV", name)}
        threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
        own = {
            name: value.format(port=port, grpc=port + 1, metrics=port + 2)
            for name, value in self.environ.items()
        }
        return kept | threads | {"BENCH_MODELS": str(folder), "PYTHONPATH": str(PROGRAMS)} | own


def _template(path: str, body: str, answer: str) -> dict[str, str]:
    return {"path": path, "body": body, "answer": answer}


def _templates(cancer: dict[str, str], penguin: dict[str, str]) -> tuple[Trial, ...]:
    return (
        Trial("template", "numbers", "cancer", target=cancer),
        Trial("template", "text, gaps", "penguins", target=penguin),
    )


SERVERS = (
    Server(
        "mlserver",
        "MLServer",
        ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", *_COMMON),
        lambda programs, folder, _port, _: [str(programs / "mlserver"), "start", str(folder)],
        (
            Trial("oip", "numbers", "cancer"),
            Trial("oip", "scores", "cancer", is_scored=True),
            Trial("oip", "text, gaps", "penguins"),
            *_BY_GRPC,
        ),
        models="models_mlserver.py",
        environ={
            "MLSERVER_PARALLEL_WORKERS": "0",
            "MLSERVER_HOST": "127.0.0.1",
            "MLSERVER_HTTP_PORT": "{port}",
            "MLSERVER_GRPC_PORT": "{grpc}",
            "MLSERVER_METRICS_PORT": "{metrics}",
        },
    ),
    Server(
        "mlflow",
        "MLflow, `mlflow models serve`",
        ("mlflow==3.17.2", "uvicorn", *_COMMON),
        lambda programs, folder, port, model: [
            str(programs / "mlflow"), "models", "serve", "--model-uri", str(folder / model), "--env-manager",
            "local", "--host", "127.0.0.1", "--port", str(port),
        ],
        (
            Trial("mlflow", "numbers", "cancer"),
            Trial("mlflow", "text, gaps", "penguins"),
            Trial("mlflow", "scores", "cancer", model="scores", is_scored=True),
        ),
        models="models_mlflow.py",
        is_alone=True,
    ),
    Server(
        "triton",
        "Triton 2.51.0, from PyTriton",
        ("nvidia-pytriton==0.7.0", "pandas", "numpy<2", *(one for one in _COMMON if "numpy" not in one)),
        lambda programs, _folder, port, _: [
            # its stub for Python takes the first libpython that the loader finds, which may be another one
            "env", f"LD_LIBRARY_PATH={(programs / 'python').resolve().parents[1] / 'lib'}",
            str(programs / "python"), str(PROGRAMS / "triton_app.py"), str(port),
        ],
        (
            Trial("oip", "numbers", "cancer"),
            Trial("oip", "scores", "cancer", is_scored=True),
            Trial("oip", "text", "penguins-whole"),
            *_BY_GRPC,
        ),
        says="both are loaded",
    ),
    Server(
        "kserve",
        "KServe's Python server",
        ("kserve==0.21.0", *_COMMON),
        lambda programs, _folder, port, _: [
            str(programs / "python"), str(PROGRAMS / "kserve_app.py"), "--http_port", str(port),
            "--grpc_port", str(port + 1),
        ],
        (
            Trial("kserve-v1", "numbers", "cancer"),
            Trial("kserve-v1", "text, gaps", "penguins"),
            Trial("kserve-v1", "scores", "cancer", model="scores", is_scored=True),
            Trial("oip", "numbers", "cancer"),
            Trial("oip-grpc", "numbers", "cancer"),
        ),
    ),
    Server(
        "fastapi",
        "FastAPI on uvicorn",
        ("fastapi==0.165.0", "uvicorn==0.54.0", "pandas", *_COMMON),
        lambda programs, _folder, port, _: [
            str(programs / "uvicorn"), "fastapi_app:app", "--host", "127.0.0.1", "--port", str(port),
            "--log-level", "warning",
        ],
        _templates(
            _template("/cancer", '{"cells": {{ cells }}}', "$.label"),
            _template("/penguin", "{{ row }}", "$.label"),
        ),
    ),
    Server(
        "litserve",
        "LitServe",
        ("litserve==0.2.19", "pandas", *_COMMON),
        lambda programs, _folder, port, _: [
            str(programs / "python"), str(PROGRAMS / "litserve_app.py"), str(port),
        ],
        _templates(
            _template("/cancer", '{"input": {{ cells }}}', "$.output"),
            _template("/penguin", "{{ row }}", "$.output"),
        ),
    ),
    Server(
        "bentoml",
        "BentoML",
        ("bentoml==1.4.40", "pandas", *_COMMON),
        lambda programs, _folder, port, _: [
            str(programs / "bentoml"), "serve", "bento:Bench", "--host", "127.0.0.1", "--port", str(port),
        ],
        _templates(
            _template("/cancer", '{"rows": [{{ cells }}]}', "$[0]"),
            _template("/penguin", '{"row": {{ row }}}', "$.label"),
        ),
        environ={"BENTOML_DO_NOT_TRACK": "True"},
    ),
    Server(
        "ray",
        "Ray Serve",
        ("ray[serve]==2.60.0", "pandas", *_COMMON),
        lambda programs, _folder, port, _: [
            str(programs / "python"), str(PROGRAMS / "ray_app.py"), str(port),
        ],
        _templates(
            _template("/cancer", "{{ cells }}", "$.result"),
            _template("/penguin", "{{ row }}", "$.result"),
        ),
        # its workers give way to all else that runs here unless told otherwise
        environ={"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"},
        says="both are deployed",
    ),
    Server(
        "torchserve",
        "TorchServe",
        ("torchserve==0.12.0", "torch-model-archiver==0.12.0", "pandas", "pyyaml", "requests", *_COMMON),
        lambda programs, _folder, port, model: [
            str(programs / "python"), str(PROGRAMS / "torchserve_app.py"), str(port), model,
        ],
        (
            Trial("kserve-v1", "numbers", "cancer"),
            Trial("kserve-v1", "text, gaps", "penguins"),
            Trial("sagemaker", "numbers", "cancer", model="plain"),
            Trial(
                "template", "numbers", "cancer", model="plain",
                target=_template("/predictions/plain", "{{ cells }}", "$.label"),
            ),
        ),
        is_alone=True,
        says="WORKER_MODEL_LOADED",
        debian="python3-torch openjdk-17-jre-headless",
    ),
)  # fmt: skip
