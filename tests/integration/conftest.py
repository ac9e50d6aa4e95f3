"""What integration tests of the load side share: a server with known delays, and jobs for the generator."""

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from loadtest.experiment.experiment import Experiment

HERE = Path(__file__).parent


class Double:
    """A running double; see double.py."""

    def __init__(self, process):
        port = int(process.stdout.readline())
        self.url = f"http://127.0.0.1:{port}"
        self.process = process

    def seen(self):
        with requests.Session() as session:
            session.trust_env = False  # no proxy
            return session.get(f"{self.url}/seen", timeout=60).json()


@contextmanager
def running_double(**settings):
    command = [sys.executable, str(HERE / "double.py"), json.dumps(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Double(process)
        finally:
            process.terminate()


@pytest.fixture
def double():
    """``with double(delays=[0.02]) as server: ...``."""
    return running_double


@pytest.fixture
def job(tmp_path):
    """``job(rate=50, duration=2)``: a job folder; row i of its evaluation set has the label i % 2."""

    def make(rows=5000, target=None, **load):
        folder = tmp_path / "job"
        folder.mkdir(exist_ok=True)
        data = folder / "evaluation.parquet"
        index = np.arange(rows, dtype=float)
        labels = [str(row % 2) for row in range(rows)]
        pq.write_table(pa.table({"row": index, "zero": index * 0, "label": labels}), data)
        experiment = Experiment.model_validate(
            {
                "name": "known",
                "model": {"name": "m", "folder": "m"},
                "data": {"path": data},
                # a busy machine is late and slow, which is not what is tested
                "load": {"duration": 2, "warmup": 0.5, "baseline": 0.3, "max_lag": 5, "timeout": 30} | load,
            }
            | ({} if target is None else {"target": target})
        )
        (folder / "experiment.toml").write_text(experiment.to_toml())
        return folder

    return make
