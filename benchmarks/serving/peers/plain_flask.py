"""What a tutorial serves: Flask, a model, ``predict`` in the request; run by gunicorn's sync worker."""

import os

import joblib
from flask import Flask, jsonify, request

app = Flask(__name__)
model = joblib.load(os.environ["BENCH_MODEL"])


@app.post("/v2/models/bench/infer")
def infer():
    """One row or more in, their labels out."""
    document = request.get_json()
    tensor = document["inputs"][0]
    rows = [tensor["data"][i : i + 20] for i in range(0, len(tensor["data"]), 20)]
    return jsonify(id=document["id"], outputs=[{"name": "predict", "data": model.predict(rows).tolist()}])
