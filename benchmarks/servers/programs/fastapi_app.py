"""FastAPI as its tutorial shows it: a typed body by name, a data frame, ``predict``; run by uvicorn."""

import os
from pathlib import Path

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
folder = Path(os.environ["BENCH_MODELS"])
cancer = joblib.load(folder / "cancer.joblib")
penguins = joblib.load(folder / "penguins.joblib")


class Cells(BaseModel):
    """One row of numbers."""

    cells: list[float]


class Penguin(BaseModel):
    """One row by name."""

    island: str
    bill_length_mm: float | None
    bill_depth_mm: float | None
    flipper_length_mm: float | None
    body_mass_g: float | None
    sex: str | None
    year: int


@app.post("/cancer")
def predict_cancer(body: Cells):
    """Its label."""
    return {"label": int(cancer.predict([body.cells])[0])}


@app.post("/penguin")
def predict_penguin(body: Penguin):
    """Its species."""
    frame = pd.DataFrame([body.model_dump()]).fillna(float("nan"))
    return {"label": str(penguins.predict(frame)[0])}
