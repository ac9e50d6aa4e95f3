"""Triton as PyTriton's documentation starts it: ``bind`` with named tensors and ``@batch``.

``python triton_app.py PORT``; gRPC is on the next port, metrics on the one after it.
"""

import os
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

TEXT = ("island", "sex")
NUMBERS = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")
folder = Path(os.environ["BENCH_MODELS"])
cancer = joblib.load(folder / "cancer.joblib")
penguins = joblib.load(folder / "penguins.joblib")


@batch
def predict_cancer(cells):
    """Labels of rows of numbers, and the probabilities of both classes."""
    return {"label": cancer.predict(cells)[:, None], "probabilities": cancer.predict_proba(cells)}


@batch
def predict_penguins(**columns):
    """Species of rows with a tensor per column."""
    frame = pd.DataFrame({name: cells[:, 0] for name, cells in columns.items()})
    for name in TEXT:
        frame[name] = np.char.decode(columns[name][:, 0].astype(bytes), "utf-8").astype(object)
    return {"species": np.char.encode(penguins.predict(frame).astype(str), "utf-8")[:, None]}


def serve(port):
    """Serve both models until the process is ended."""
    config = TritonConfig(
        http_address="127.0.0.1", http_port=port, grpc_address="127.0.0.1", grpc_port=port + 1,
        metrics_port=port + 2,
    )  # fmt: skip
    batches = ModelConfig(max_batch_size=64)
    with Triton(config=config) as triton:
        triton.bind(
            model_name="cancer",
            infer_func=predict_cancer,
            inputs=[Tensor(name="cells", dtype=np.float64, shape=(30,))],
            outputs=[
                Tensor(name="label", dtype=np.int64, shape=(1,)),
                Tensor(name="probabilities", dtype=np.float64, shape=(2,)),
            ],
            config=batches,
        )
        triton.bind(
            model_name="penguins",
            infer_func=predict_penguins,
            inputs=[
                *(Tensor(name=name, dtype=bytes, shape=(1,)) for name in TEXT),
                *(Tensor(name=name, dtype=np.float64, shape=(1,)) for name in NUMBERS),
                Tensor(name="year", dtype=np.int64, shape=(1,)),
            ],
            outputs=[Tensor(name="species", dtype=bytes, shape=(1,))],
            config=batches,
        )
        print("both are loaded", flush=True)
        triton.serve()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
