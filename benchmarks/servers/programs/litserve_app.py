"""LitServe as its README shows it: one ``LitAPI`` for each model."""

import os
import sys
from pathlib import Path

import joblib
import litserve
import pandas as pd

FOLDER = Path(os.environ["BENCH_MODELS"])


class Cancer(litserve.LitAPI):
    """Rows of numbers."""

    def setup(self, _device):
        """Load it."""
        self.model = joblib.load(FOLDER / "cancer.joblib")

    def decode_request(self, request):
        """The cells of the row."""
        return [request["input"]]

    def predict(self, rows):
        """Its label."""
        return self.model.predict(rows)[0]

    def encode_response(self, label):
        """The label."""
        return {"output": int(label)}


class Penguins(litserve.LitAPI):
    """Rows by name."""

    def setup(self, _device):
        """Load it."""
        self.model = joblib.load(FOLDER / "penguins.joblib")

    def decode_request(self, request):
        """The row as a frame."""
        return pd.DataFrame([request]).fillna(float("nan"))

    def predict(self, frame):
        """Its species."""
        return self.model.predict(frame)[0]

    def encode_response(self, label):
        """The species."""
        return {"output": str(label)}


if __name__ == "__main__":
    apis = [Cancer(api_path="/cancer"), Penguins(api_path="/penguin")]
    server = litserve.LitServer(apis, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error")
