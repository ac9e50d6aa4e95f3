"""``python -m services.model_server.describe``: make model files version folders, and try them.

Standard input is one JSON object::

    {"folder": "models/mine", "name": "mine", "versions": ["v1", "v2"],
     "columns": ["age", ...],       the columns that may be features, in the order of the rows
     "rows": [[41.0, ...], ...]}    what the versions are tried on

Where ``model.toml`` is missing, it is written from what the model says of itself. Standard output is one JSON
object a version: ``wrote`` (was it), ``task``, ``columns`` (the features, in the model's order) and
``predictions``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from services.model_server.errors import VersionError
from services.model_server.manifest import FILE, Datatype, Task, write_manifest
from services.model_server.tensors import DTYPES
from services.model_server.version import check_pickle, load_version, model_file


def describe(
    folder: Path,
    name: str,
    version: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[float]],
    allow_pickle: Sequence[str] = (),
) -> dict[str, Any]:
    """Write ``model.toml`` where it is missing, load the version, and try it; see the module.

    Raises:
        VersionError: the model cannot be served, or does not fit the columns.
    """
    path = model_file(folder)
    check_pickle(path, name, allow_pickle)
    wrote = not (folder / FILE).exists()
    if wrote:
        task, datatype, features, names = _facts(path)
        chosen = _features_among(columns, names, features, path)
        write_manifest(folder, name, version, task, datatype, chosen)
    try:
        loaded = load_version(folder, allow_pickle, compilation=False)
        taken = _features_among(columns, loaded.columns, loaded.input.shape[1], path)
        places = [list(columns).index(column) for column in taken]
        given = np.asarray(rows, dtype=DTYPES[loaded.input.datatype])[:, places]
        try:
            answers = loaded.run(given, frozenset(["predict"]))["predict"].tolist()
        except Exception as error:
            # whatever the model raises, it cannot serve these rows
            line = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise VersionError(f"{path}: fails on the first rows of the evaluation set ({line})") from error
    except VersionError:
        if wrote:
            (folder / FILE).unlink()
        raise
    return {"wrote": wrote, "task": loaded.task, "columns": taken, "predictions": answers}


def _facts(path: Path) -> tuple[Task, Datatype, int | None, Sequence[str] | None]:
    """Task, datatype of the input, number and names of the features."""
    if path.suffix == ".onnx":
        from services.model_server.onnx_session import describe as describe_onnx

        return *describe_onnx(path), None
    from sklearn.base import is_classifier, is_regressor

    from services.model_server.estimators import read_joblib, read_skops

    model = read_skops(path) if path.suffix == ".skops" else read_joblib(path)
    if not (is_classifier(model) or is_regressor(model)):
        raise VersionError(
            f"{path}: a {type(model).__name__} is neither a classifier nor a regressor of scikit-learn; "
            f"write {FILE} by hand if it can predict one value a row"
        )
    names = getattr(model, "feature_names_in_", None)
    return (
        "classification" if is_classifier(model) else "regression",
        "FP64",
        getattr(model, "n_features_in_", None),
        None if names is None else [str(name) for name in names],
    )


def _features_among(
    columns: Sequence[str], names: Sequence[str] | None, features: int | None, path: Path
) -> list[str]:
    """The model's features among the columns of the evaluation set, in the model's order."""
    if names:
        if missing := [name for name in names if name not in columns]:
            raise VersionError(
                f"{path}: takes the features {', '.join(names)}; the evaluation set has no numeric "
                f"{', '.join(missing)}"
            )
        return list(names)
    if features not in (None, len(columns)):
        raise VersionError(
            f"{path}: takes {features} features, the evaluation set has {len(columns)} numeric columns "
            f"beside the label ({', '.join(columns)}); leave out what is no feature with --ignore"
        )
    return list(columns)


def main() -> int:
    """Describe the versions on standard input; 2 where one cannot be served."""
    allowed = os.environ.get("ALLOW_PICKLE", "").replace(",", " ").split()
    asked = json.load(sys.stdin)
    for version in asked["versions"]:
        try:
            answer = describe(
                Path(asked["folder"], version),
                asked["name"],
                version,
                asked["columns"],
                asked["rows"],
                allowed,
            )
        except VersionError as error:
            sys.stderr.write(f"model-server: {error}\n")
            return 2
        sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
