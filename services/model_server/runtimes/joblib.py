"""``model.joblib``: a scikit-learn model as a pickle, which runs code when it is loaded."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from services.model_server.errors import VersionError, one_line
from services.model_server.scikit_learn import format_of


def _read(path: Path) -> Any:
    import joblib

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            return joblib.load(path)
    except Exception as error:
        # unpickling can raise anything
        raise VersionError(
            f"{path}: not readable by joblib ({one_line(error)}); save the model again"
        ) from error


FORMATS = (format_of("model.joblib", _read, runs_code=True, suffixes=(".joblib", ".pkl", ".pickle")),)
