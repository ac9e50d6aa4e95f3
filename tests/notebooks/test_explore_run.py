"""The notebook: kept without outputs, and run from top to bottom on the local backend."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from loadtest.data.dataset import Dataset
from loadtest.data.run_folder import EXPERIMENT, LOAD, SAMPLES, RunFolder
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES
from services.trainer.shoppers import NUMBERS, TEXTS
from tests.loadtest.made_samples import Sample, sample_set

ROOT = Path(__file__).parents[2]
FEATURES = (*TEXTS, *NUMBERS)
NOTEBOOK = ROOT / "notebooks" / "explore_run.ipynb"


def cells(path):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def test_its_outputs_are_stripped():
    for cell in cells(NOTEBOOK):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)


@pytest.fixture
def results(tmp_path, shop):
    """A stored run of the shop, of half a minute: the candidate is right more often, and slower."""
    experiment = Experiment.load_file("compare", {"load": {"duration": "30s"}})
    data = experiment.data.model_copy(update={"path": shop / "evaluation.parquet", "features": FEATURES})
    labels = Dataset.read(data).labels
    rng = np.random.default_rng(1)
    samples = []
    for row, at in enumerate(np.sort(rng.uniform(0, 30, 1500))):
        for version, share, latency in zip(ROLES, (0.6, 0.7), (0.01, 0.02), strict=True):
            right = bool(rng.random() < share)
            done = at + latency * rng.lognormal(0, 0.3)
            answer = str(labels[row]) if right else "nothing"
            samples.append(Sample(row, version, at, at, done, 200, None, answer, right, None, 0))
    with RunFolder(tmp_path / "results", "compare") as folder:
        folder.write(EXPERIMENT, experiment.model_copy(update={"data": data}).to_toml())
        sample_set(samples).write(folder.path / SAMPLES)
        folder.write(LOAD, {"offered_rps": 50.0, "achieved_rps": 50.0, "duration_s": 30.0})
        folder.publish()
    return tmp_path / "results"


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_it_runs_from_top_to_bottom(results, tmp_path):
    execute = [str(Path(sys.executable).parent / "jupyter-execute"), str(NOTEBOOK)]
    environment = {"LOADPROOF_RESULTS": str(results), "NOTEBOOK_DURATION": "2s"}
    # nothing of a person's own settings, or into them
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
        environment[name] = str(tmp_path / name.lower())
    done = subprocess.run(
        [*execute, "--output", str(tmp_path / "executed"), "--timeout", "500"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    executed = cells(tmp_path / "executed.ipynb")
    assert [cell["execution_count"] for cell in executed] == list(range(1, len(executed) + 1))
    text = "".join(
        "".join(output.get("text", "")) + "".join(output.get("data", {}).get("text/plain", ""))
        for cell in executed
        for output in cell["outputs"]
    )
    # the stored run was opened and judged again, under its own gates and others
    assert "3,000 samples" in text
    assert "p95 <= 150ms" in text
    assert "segment=loyal" in text
    # the new candidate stood beside stable under load, and has a run folder of its own
    assert "lab is up (local)" in text
    assert len(list(results.glob("2*"))) == 2
    # there are pictures
    assert any("image/png" in output.get("data", {}) for cell in executed for output in cell["outputs"])
