"""The output folder of a demo: whole or absent.

::

    <out>/evaluation.parquet          features in the order of model.toml, the label, value and slices
    <out>/<version>/model.skops       loads with the types that skops trusts by default
    <out>/<version>/model.toml
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from contract.model_toml import MODEL_TOML, Input, ModelToml, write_model_toml
from services.trainer.demo import Demo, Rows, Version

EVALUATION = "evaluation.parquet"
_VERSION_FILES = ("model.skops", MODEL_TOML)
_SEED = b"seed"


def missing(out: Path, versions: Collection[str]) -> list[str]:
    """The files that a whole output folder would have and this one lacks."""
    files = [EVALUATION, *(f"{version}/{name}" for version in versions for name in _VERSION_FILES)]
    return [file for file in files if not (out / file).is_file()]


def foreign(out: Path, versions: Collection[str]) -> list[str]:
    """What lies in the folder and was not made by the trainer."""
    return sorted({path.name for path in out.iterdir()} - {EVALUATION, *versions})


def seed_of(out: Path) -> int:
    """The seed that an output folder was made with.

    Raises:
        ValueError: the evaluation set was not written by the trainer.
    """
    try:
        metadata = pq.read_schema(out / EVALUATION).metadata or {}
    except pa.ArrowInvalid:
        metadata = {}
    if _SEED not in metadata:
        raise ValueError(f"{EVALUATION} was not written by the trainer")
    return int(metadata[_SEED])


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """A new folder beside ``out`` that takes its place when the block ends well, and vanishes otherwise.

    Raises:
        OSError: it cannot be written.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as beside:
        new = Path(beside, "new")
        new.mkdir()
        yield new
        if out.exists():
            out.rename(Path(beside, "old"))
        new.rename(out)


def write(demo: Demo, name: str, seed: int, folder: Path) -> None:
    """Write the evaluation set and every version into a folder.

    Raises:
        OSError: the folder cannot be written.
    """
    table = _table(demo.evaluation, demo.columns, demo.label)
    pq.write_table(table.replace_schema_metadata({_SEED: str(seed)}), folder / EVALUATION)
    for version, fitted in demo.versions.items():
        _write_version(fitted, name, version, demo.columns, folder / version)


def _table(rows: Rows, columns: Collection[str], label: str) -> pa.Table:
    features: dict[str, Any] = dict(zip(columns, rows.features.T, strict=True))
    return pa.table({**features, label: rows.labels, **rows.others})


def _write_version(fitted: Version, name: str, version: str, columns: Collection[str], folder: Path) -> None:
    from skops.io import dump

    folder.mkdir()
    dump(fitted.classifier, folder / "model.skops", compression=8)  # deflate
    tensor = Input("features", "FP64", (-1, len(columns)), tuple(columns))
    write_model_toml(
        folder, ModelToml(name, version, "classification", tensor, fitted.description, fitted.compile)
    )
