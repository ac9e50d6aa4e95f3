"""Where the files of a version lie in its folder.

MLflow saves a folder, and downloads it as one: ``models/churn/v1/model/MLmodel``. A version folder may be
such a folder, or hold one::

    model_folder(Path("models/churn/v1"))        # models/churn/v1/model
    requirements_file(Path("models/churn/v1"))   # models/churn/v1/model/requirements.txt
    version_folder(Path("models/churn/v1/model/model.skops"))   # models/churn/v1, where model.toml lies
"""

from __future__ import annotations

from pathlib import Path

from contract.model_toml import MODEL_TOML

EXAMPLES = "examples.parquet"
MLMODEL = "MLmodel"
REQUIREMENTS = "requirements.txt"


def model_folder(folder: Path) -> Path:
    """The version's folder or, if its only model is an MLflow folder in it, that."""
    inside = list(folder.glob(f"*/{MLMODEL}"))
    return inside[0].parent if len(inside) == 1 else folder


def version_folder(path: Path) -> Path:
    """The folder of the version that a model file belongs to."""
    folder = path.parent
    is_inside = (folder / MLMODEL).exists() and (folder.parent / MODEL_TOML).exists()
    return folder.parent if is_inside and not (folder / MODEL_TOML).exists() else folder


def requirements_file(folder: Path) -> Path:
    """The packages that a version runs on; the file need not exist. Its own come before MLflow's."""
    own = folder / REQUIREMENTS
    return own if own.exists() else model_folder(folder) / REQUIREMENTS
