"""``python -m benchmarks.serving.pipelines``: the same for pipelines over named columns, beside other peers.

Every server gets the same rows by column name, and must give scikit-learn's labels. It writes pipelines.json,
each ratio within one round with its spread, and prints the table.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks.serving.measure import Effort, measure
from benchmarks.serving.models import ROWS
from benchmarks.serving.report import machine, spread
from benchmarks.serving.running import install
from benchmarks.serving.servers import CACHE, SERVERS, Server
from contract.model_toml import Columns, ModelToml, write_model_toml
from services.model_server.examples import write_examples

RESULTS = Path(__file__).parent / "pipelines.json"
NUMBERS, TEXTS = [f"n{i}" for i in range(8)], [f"c{i}" for i in range(4)]
MODELS = {
    "mixed": "impute, scale, one-hot, logistic regression",
    "mixed-forest": "impute, scale, one-hot, random forest of 100 trees",
    "histograms": "ordinal codes, boosting over histograms, 100 trees",
    "text": "TF-IDF of 5,000 words, logistic regression",
}
_SKLEARN = ("scikit-learn==1.9.1", "numpy==2.4.6", "pandas==3.1.1")


@dataclass(frozen=True)
class FrameServer(Server):
    """A server that is asked by column name."""

    def request(self, number: int, row: Any) -> bytes:
        """One HTTP request for one row, a dictionary by column."""
        document: dict[str, Any] = {"rows": [row]}
        if self.path.startswith("/v2"):
            inputs = [_tensor(name, cell, pandas=self.name == "mlserver") for name, cell in row.items()]
            document = {"id": f"row-{number}", "inputs": inputs}
            if self.name == "mlserver":
                document["parameters"] = {"content_type": "pd"}
        body = json.dumps(document).encode()
        head = f"POST {self.path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _tensor(name: str, cell: float | str | None, *, pandas: bool) -> dict[str, Any]:
    text = isinstance(cell, str)
    tensor = {"name": name, "shape": [1], "datatype": "BYTES" if text else "FP64", "data": [cell]}
    return tensor | {"parameters": {"content_type": "str" if text else "np"}} if pandas else tensor


def servers() -> list[Server]:
    """Ours and the peers; MLServer is the one that ratios are of."""
    named = {server.name: server for server in SERVERS}
    ours, mlserver = named["loadproof-onnx"], named["mlserver"]
    kept = {"command": ours.command, "environ": ours.environ, "needs": ours.needs}
    return [
        FrameServer("loadproof", "Loadproof", **kept),  # type: ignore[arg-type]
        FrameServer(
            "mlserver", "MLServer 1.7, `pd` codec", (*mlserver.needs, "pandas==3.1.1"),  # type: ignore[misc]
            mlserver.command, environ=mlserver.environ,
        ),
        FrameServer(
            "fastapi", "FastAPI with uvicorn", ("fastapi==0.165.0", "uvicorn==0.54.0", *_SKLEARN),
            lambda programs, _, port: [
                str(programs / "uvicorn"), "frame_fastapi:app", "--port", str(port), "--log-level", "error",
            ],
            path="/predict",
        ),
        FrameServer(
            "litserve", "LitServe, batching", ("litserve==0.2.19", *_SKLEARN),
            lambda programs, _, port: [
                str(programs / "python"), "-m", "frame_litserve", str(port),
            ],
            path="/predict",
        ),
    ]  # fmt: skip


def prepare(folder: Path) -> dict[str, tuple[list[dict[str, Any]], list[int]]]:
    """Train the pipelines and save them for every server; rows and scikit-learn's labels by model."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.normal(size=4000).round(4) for name in NUMBERS})
    for name in TEXTS:
        frame[name] = pd.Series(rng.choice([f"{name}-{k}" for k in range(12)], 4000), dtype=object)
    labels = (frame["n0"] * frame["n1"] + (frame["c0"] > "c0-4") > 0.5).astype(int)
    frame = frame.mask((rng.random(frame.shape) < 0.05) & frame.columns.isin(NUMBERS))
    words = np.array([f"word{k}" for k in range(5000)])
    chances = 1 / np.arange(1.0, 5001.0)
    documents = [" ".join(rng.choice(words, 30, p=chances / chances.sum())) for _ in range(4000)]
    texts = pd.DataFrame({"text": pd.Series(documents, dtype=object)})
    mixed = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
            ("texts", OneHotEncoder(handle_unknown="ignore"), TEXTS),
        ]
    )
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    coded = ColumnTransformer([("texts", codes, TEXTS)], remainder="passthrough")
    spoken = ColumnTransformer([("text", TfidfVectorizer(), "text")])
    made: dict[str, tuple[Any, pd.DataFrame]] = {
        "mixed": (make_pipeline(mixed, LogisticRegression(max_iter=500)), frame),
        "mixed-forest": (make_pipeline(mixed, RandomForestClassifier(100, random_state=0)), frame),
        "histograms": (make_pipeline(coded, HistGradientBoostingClassifier(random_state=0)), frame),
        "text": (make_pipeline(spoken, LogisticRegression(max_iter=500)), texts),
    }
    asked = {}
    with threadpool_limits(1):
        for name, (model, columns) in made.items():
            truth = texts["text"].str.contains("word3 ").astype(int) if name == "text" else labels
            model.fit(columns, truth)
            kept = columns[:ROWS]
            rows = [
                {key: None if cell != cell else cell for key, cell in row.items()}
                for row in kept.to_dict("records")
            ]
            asked[name] = (rows, model.predict(kept).tolist())
            _save(folder / name, model, rows)
    return asked


def _save(folder: Path, model: Any, rows: list[dict[str, Any]]) -> None:
    for part in ("loadproof", "mlserver"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    joblib.dump(model, folder / "model.joblib")
    skops.io.dump(model, folder / "loadproof" / "model.skops")
    kinds = tuple((name, "BYTES" if isinstance(cell, str) else "FP64") for name, cell in _first(rows).items())
    write_model_toml(folder / "loadproof", ModelToml("bench", "v1", "classification", Columns(kinds)))
    write_examples(folder / "loadproof", {name: [row[name] for row in rows] for name, _ in kinds})
    settings = {
        "name": "bench",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(folder / "model.joblib"), "version": "v1"},
    }
    (folder / "mlserver" / "model-settings.json").write_text(json.dumps(settings))


def _first(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The first row, with a cell of another where it has a gap."""
    return {name: next(row[name] for row in rows if row[name] is not None) for name in rows[0]}


def table(cells: list[dict[str, Any]]) -> list[str]:
    """Markdown: rates, and ratios to MLServer within a round."""
    lines = ["| pipeline, server | busy, req/s | busy, p99 ms | times MLServer |", "|---|---|---|---|"]
    for model, title in MODELS.items():
        of_model = [cell for cell in cells if cell["model"] == model]
        peer = {c["round"]: c["closed"]["rps"] for c in of_model if c["server"] == "mlserver"}
        for server in servers():
            own = [cell for cell in of_model if cell["server"] == server.name]
            ratios = [c["closed"]["rps"] / peer[c["round"]] for c in own if peer.get(c["round"])]
            if own:
                lines.append(
                    f"| {title}: {server.title} | {spread([c['closed']['rps'] for c in own])} "
                    f"| {spread([c['closed']['p99_ms'] for c in own])} "
                    f"| {spread(ratios, 1) if ratios else '–'} |"
                )
    return lines


def main(arguments: list[str]) -> int:
    """Measure every pipeline on every server, round by round."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.pipelines", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="each measures every server once (default 3)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of every trial (default 3)")
    parser.add_argument("--only", action="append", help="these servers, into no file: for trying things out")
    options = parser.parse_args(arguments)
    folder = CACHE / "pipelines"
    asked = prepare(folder)
    chosen = [server for server in servers() if not options.only or server.name in options.only]
    programs = {server.name: install(server, CACHE) for server in chosen}
    cells = []
    effort = Effort(options.seconds, options.seconds)
    for number in range(options.rounds):
        for model, (rows, answers) in asked.items():
            for server in chosen:
                cell = measure(server, programs[server.name], folder / model, rows, answers, effort)
                cells.append({"round": number} | cell)
                closed = cell["closed"]
                print(
                    f"{model:12} {server.name:10} {closed['rps']:8.1f} req/s, "
                    f"p99 {closed['p99_ms']:6.0f} ms, highest rate {cell['highest_rate']:8.1f}",
                    flush=True,
                )
    print("\n".join([str(machine()), "", *table(cells)]))
    if not options.only:
        RESULTS.write_text(json.dumps({"machine": machine(), "cells": cells}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
