"""FastAPI as its tutorial shows it: a typed body, a data frame, ``predict``; run by uvicorn."""

import os

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["BENCH_MODEL"])


class Rows(BaseModel):
    """Rows by column name."""

    rows: list[dict[str, float | str | None]]


@app.post("/predict")
def predict(body: Rows) -> list[int]:
    """Their labels."""
    return model.predict(pd.DataFrame(body.rows).fillna(float("nan"))).tolist()
