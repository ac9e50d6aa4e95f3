"""BentoML as its documentation shows it: a service with one API for each model."""

import os
from pathlib import Path
from typing import Any

import bentoml
import joblib
import numpy as np
import pandas as pd

FOLDER = Path(os.environ["BENCH_MODELS"])


@bentoml.service(workers=1, traffic={"timeout": 10})
class Bench:
    """Both models."""

    def __init__(self):
        self.cancer_model = joblib.load(FOLDER / "cancer.joblib")
        self.penguins_model = joblib.load(FOLDER / "penguins.joblib")

    @bentoml.api
    def cancer(self, rows: np.ndarray) -> np.ndarray:
        """Rows of numbers to their labels."""
        return self.cancer_model.predict(rows)

    @bentoml.api
    def penguin(self, row: dict[str, Any]) -> dict[str, str]:
        """A row by name to its species."""
        frame = pd.DataFrame([row]).fillna(float("nan"))
        # a bare text would be answered as text/plain
        return {"label": str(self.penguins_model.predict(frame)[0])}
