from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
import tomli_w
from prometheus_client import CollectorRegistry
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge

from services.model_server.http.app import create_app
from services.model_server.http.inference import Settings
from services.model_server.version import LoadedVersion, load_version

FEATURES = 4
ROWS = np.random.default_rng(7).normal(size=(120, FEATURES))
NAMED = np.array(["hat", "shoe", "Übergröße"])[ROWS[:, :3].argmax(axis=1)]


@pytest.fixture(scope="session")
def rows() -> np.ndarray:
    """Float64, shape (120, 4): what every model of these tests was trained on."""
    return ROWS


@pytest.fixture(scope="session")
def models() -> dict[str, Any]:
    return {
        "text": LogisticRegression().fit(ROWS, NAMED),
        "int": RandomForestClassifier(5, random_state=0, n_jobs=-1).fit(ROWS, ROWS[:, :3].argmax(axis=1)),
        "bool": HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(ROWS, ROWS[:, 0] > 0),
        "regression": Ridge().fit(ROWS, ROWS @ [1.0, -2.0, 0.5, 3.0]),
    }


@pytest.fixture(scope="session")
def save() -> Callable[..., Path]:
    """Write a version folder: ``save(folder, model, task=...)``; bytes are written as they are."""

    def save(folder: Path, model: Any, file: str = "model.skops", **changes: Any) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(model, bytes):
            (folder / file).write_bytes(model)
        else:
            skops.io.dump(model, folder / file)
        manifest = {
            "name": "shop",
            "version": "v1",
            "task": "classification",
            "inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, FEATURES]}],
        }
        (folder / "model.toml").write_text(tomli_w.dumps(manifest | changes), encoding="utf-8")
        return folder

    return save


@pytest.fixture(scope="session")
def versions(
    tmp_path_factory: pytest.TempPathFactory, models: dict[str, Any], save: Callable[..., Path]
) -> dict[str, LoadedVersion]:
    root = tmp_path_factory.mktemp("versions")
    return {
        kind: load_version(
            save(root / kind, model, task="regression" if kind == "regression" else "classification")
        )
        for kind, model in models.items()
    }


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def client(versions: dict[str, LoadedVersion], registry: CollectorRegistry) -> Any:
    """A test client of the version with text labels."""
    return create_app(versions["text"], registry, Settings(max_body=20_000)).test_client()
