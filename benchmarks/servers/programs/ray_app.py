"""Ray Serve as its getting started shows it: a deployment of one replica that takes Starlette's requests."""

import os
import sys
import time
from pathlib import Path

import joblib
import pandas as pd
import ray
from ray import serve


@serve.deployment
class Cancer:
    """Rows of numbers."""

    def __init__(self, folder):
        self.model = joblib.load(Path(folder) / "cancer.joblib")

    async def __call__(self, request):
        """The label of a row."""
        return {"result": int(self.model.predict([await request.json()])[0])}


@serve.deployment
class Penguins:
    """Rows by name."""

    def __init__(self, folder):
        self.model = joblib.load(Path(folder) / "penguins.joblib")

    async def __call__(self, request):
        """The species of a row."""
        frame = pd.DataFrame([await request.json()]).fillna(float("nan"))
        return {"result": str(self.model.predict(frame)[0])}


if __name__ == "__main__":
    folder = os.environ["BENCH_MODELS"]
    # a cluster of its own, however many run here
    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=100_000_000)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(
        Cancer.options(ray_actor_options={"num_cpus": 0.1}).bind(folder), name="c", route_prefix="/cancer"
    )
    serve.run(
        Penguins.options(ray_actor_options={"num_cpus": 0.1}).bind(folder), name="p", route_prefix="/penguin"
    )
    print("both are deployed", flush=True)
    while True:
        time.sleep(60)
