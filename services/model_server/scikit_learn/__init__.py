"""scikit-learn models, whatever file they come from: run as they are, by NumPy alone, or compiled to ONNX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from contract.model_toml import Task
from services.model_server.runtime import Description, Format, Original
from services.model_server.tensors import Input


def format_of(
    file: str, read: Callable[[Path], Any], *, runs_code: bool = False, suffixes: tuple[str, ...] = ()
) -> Format:
    """A format whose files hold a fitted scikit-learn model, which ``read`` reads; see ``Format``."""

    def load(path: Path, task: Task, given: Input) -> Original:
        from services.model_server.scikit_learn.estimator import Estimator

        return Estimator(read(path), path, task, given)

    def describe(path: Path) -> Description:
        from services.model_server.scikit_learn.estimator import describe

        return describe(read(path), path)

    return Format(file, load, describe, runs_code=runs_code, suffixes=suffixes)
