"""``python -m benchmarks.serving.pipelines``: the same for pipelines over named columns, beside other peers.

Every server gets the same rows by column name, and must give the pipeline's own labels. It measures what is
missing, and writes pipelines.json and its table in docs/performance.md. ``--answers`` holds so many answers
of our server under load, without a CPU limit, against each row's answer without load.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
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
from xgboost import XGBClassifier

from benchmarks.serving import report
from benchmarks.serving.measure import CONNECTIONS, Effort, baseline_answers, measure
from benchmarks.serving.models import ROWS
from benchmarks.serving.running import CPUS, PORT, install, running
from benchmarks.serving.sender import Sender
from benchmarks.serving.servers import CACHE, SERVERS, Server
from contract.model_toml import Columns, ModelToml, write_model_toml
from services.model_server.examples import write_examples

NUMBERS, TEXTS = [f"n{i}" for i in range(8)], [f"c{i}" for i in range(4)]
MODELS = {
    "mixed": "impute, scale, one-hot, logistic regression",
    "mixed-forest": "impute, scale, one-hot, random forest of 100 trees",
    "histograms": "ordinal codes, boosting over histograms, 100 trees",
    "text": "TF-IDF of 5,000 words, logistic regression",
    "xgboost": "ordinal codes, XGBoost, 100 trees",
}
_XGBOOST = "xgboost-cpu==3.2.0"
_SKLEARN = ("scikit-learn==1.9.1", "numpy==2.4.6", "pandas==3.1.1", _XGBOOST)

Asked = dict[str, tuple[list[dict[str, Any]], list[int]]]


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
    return [
        FrameServer(
            "loadproof", "Loadproof", ours.needs, ours.command,
            environ=ours.environ | {"ALLOW_PICKLE": "bench"}, more=(_XGBOOST,),
        ),
        FrameServer(
            "mlserver", "MLServer 1.7, `pd` codec",
            (*mlserver.needs, "pandas==3.1.1", _XGBOOST),  # type: ignore[misc]
            mlserver.command, environ=mlserver.environ,
        ),
        FrameServer(
            "fastapi", "FastAPI 0.165 with uvicorn", ("fastapi==0.165.0", "uvicorn==0.54.0", *_SKLEARN),
            lambda programs, _, port: [
                str(programs / "uvicorn"), "frame_fastapi:app", "--port", str(port), "--log-level", "error",
            ],
            path="/predict",
        ),
        FrameServer(
            "litserve", "LitServe 0.2, batching", ("litserve==0.2.19", *_SKLEARN),
            lambda programs, _, port: [
                str(programs / "python"), "-m", "frame_litserve", str(port),
            ],
            path="/predict",
        ),
    ]  # fmt: skip


def prepare(folder: Path) -> Asked:
    """Train the pipelines and save them for every server; rows and the pipelines' own labels by model."""
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
        "xgboost": (make_pipeline(coded, XGBClassifier(n_estimators=100, random_state=0)), frame),
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
    if isinstance(model[-1], XGBClassifier):  # not of what skops knows to be safe: a pickle, allowed by name
        joblib.dump(model, folder / "loadproof" / "model.joblib")
    else:
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


def compared(wanted: int, programs: Path, folder: Path, asked: Asked) -> dict[str, dict[str, int]]:
    """Of how many answers under load our server gave another one than to the same row without load, by model.

    Args:
        wanted: answers of each model.
        programs: of our server's environment.
        folder: of the models.
        asked: rows and labels by model.
    """
    ours, found = servers()[0], {}
    for model, (rows, labels) in asked.items():
        requests = [ours.request(number, row) for number, row in enumerate(rows)]
        log = folder / f"answers-{model}.log"
        with running(ours, programs, folder / model, log, cpus=None, asked=requests[0]):
            address = ("127.0.0.1", PORT)
            expected = baseline_answers(ours, requests, labels, address)
            sender = Sender(address, requests, expected, CONNECTIONS)
            same = different = 0
            while same + different < wanted:
                outcome = sender.closed(10.0)
                same, different = same + len(outcome.latencies), different + outcome.failed
            sender.close()
        found[model] = {"same": same, "different": different}
        print(f"{model:12} {same + different:,} answers under load, {different} differ", flush=True)
    return found


def main(arguments: list[str]) -> int:
    """Measure every pipeline on every server, round by round, but for what is measured already."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.pipelines", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="each measures every server once (default 3)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of every trial (default 3)")
    parser.add_argument("--minutes", type=float, help="stop after so many; the next call goes on")
    parser.add_argument("--only", action="append", help="these servers, into no file: for trying things out")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument(
        "--answers", type=int, help="instead: compare so many answers of each model under load"
    )
    options = parser.parse_args(arguments)
    folder, partial = CACHE / "pipelines", CACHE / "pipeline-cells.json"
    asked = prepare(folder)
    chosen = [server for server in servers() if not options.only or server.name in options.only]
    programs = {server.name: install(server, CACHE) for server in chosen}
    if options.answers:
        _store(models=MODELS, answers=compared(options.answers, programs["loadproof"], folder, asked))
        return 0
    kept = partial.exists() and not (options.again or options.only)
    cells: list[dict[str, Any]] = json.loads(partial.read_text()) if kept else []
    effort = Effort(options.seconds, options.seconds)
    end = time.monotonic() + options.minutes * 60 if options.minutes else float("inf")
    for number, model, server in itertools.product(range(options.rounds), asked, chosen):
        if any((c["round"], c["model"], c["server"]) == (number, model, server.name) for c in cells):
            continue
        if time.monotonic() > end:
            print("stopped; the next call goes on here")
            return 0
        cell = measure(server, programs[server.name], folder / model, *asked[model], effort)
        cells.append({"round": number} | cell)
        closed = cell["closed"]
        print(
            f"{model:12} {server.name:10} {closed['rps']:8.1f} req/s, "
            f"p99 {closed['p99_ms']:6.0f} ms, highest rate {cell['highest_rate']:8.1f}",
            flush=True,
        )
        if not options.only:
            partial.write_text(json.dumps(cells))
    if not options.only:
        titles = {server.name: server.title for server in servers()}
        _store(
            machine=report.machine(),
            cpus=CPUS,
            connections=CONNECTIONS,
            models=MODELS,
            servers=titles,
            cells=cells,
        )
        partial.unlink()
    return 0


def _store(**parts: Any) -> None:
    """Put parts into the file of results, and the table into the docs."""
    known = json.loads(report.PIPELINES.read_text()) if report.PIPELINES.exists() else {}
    report.PIPELINES.write_text(json.dumps(known | parts, indent=1) + "\n")
    report.write()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
