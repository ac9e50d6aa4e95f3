"""``python -m services.model_server.describe``: make model files version folders, and try them.

Standard input is one JSON object::

    {"folder": "models/mine", "name": "mine",
     "columns": ["age", ...],       the columns that may be features, in the order of the rows
     "rows": [[41.0, ...], ...]}    what the versions are tried on

Where ``model.toml`` is missing, it is written from what the model says of itself. Standard output is one JSON
object per version: ``version``, ``wrote`` (was it), ``task``, ``columns`` (the features, in the model's
order) and ``predictions``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from contract.model_toml import MODEL_TOML, Input, ModelToml, write_model_toml
from services.model_server.errors import VersionError, one_line
from services.model_server.runtimes import check_allowed, find_versions, model_file
from services.model_server.version import load_version


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
    kind, path = model_file(folder)
    check_allowed(kind, path, name, allow_pickle)
    toml = folder / MODEL_TOML
    wrote = not toml.exists()
    if wrote:
        said = kind.describe(path)
        features = tuple(_features_among(columns, said.columns, said.features, path))
        tensor = Input("features", said.datatype, (-1, len(features)), features)
        try:
            write_model_toml(folder, ModelToml(name, version, said.task, tensor))
        except OSError as error:
            raise VersionError(f"{toml}: cannot be written ({error.strerror})") from error
    try:
        loaded = load_version(folder, allow_pickle, compilation=False)
        taken = _features_among(columns, loaded.columns, loaded.input.shape[1], path)
        places = [list(columns).index(column) for column in taken]
        given = np.asarray(rows, dtype=loaded.input.dtype)[:, places]
        try:
            answers = loaded.run(given, frozenset(["predict"]))["predict"].tolist()
        except Exception as error:
            # whatever the model raises, it cannot serve these rows
            raise VersionError(
                f"{path}: fails on the first rows of the evaluation set ({one_line(error)})"
            ) from error
    except VersionError:
        if wrote:
            toml.unlink()
        raise
    return {"version": version, "wrote": wrote, "task": loaded.task, "columns": taken, "predictions": answers}


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
    """Describe every version of the model on standard input; 2 where one cannot be served."""
    allowed = os.environ.get("ALLOW_PICKLE", "").replace(",", " ").split()
    asked = json.load(sys.stdin)
    folder = Path(asked["folder"])
    try:
        for version in find_versions(folder):
            answer = describe(
                folder / version, asked["name"], version, asked["columns"], asked["rows"], allowed
            )
            sys.stdout.write(json.dumps(answer) + "\n")
    except VersionError as error:
        sys.stderr.write(f"model-server: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
