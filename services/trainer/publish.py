"""The output folder of a demo: whole or absent.

::

    <out>/evaluation.parquet          features in the order of model.toml, the label and the value
    <out>/<version>/model.skops       loads with the types that skops trusts by default
    <out>/<version>/model.toml
    <out>/<version>/examples.parquet  of the rows that it was trained on, some to try it on
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from contract.model_toml import MODEL_TOML, ModelToml, write_model_toml
from contract.version_folder import EXAMPLES
from services.trainer.demo import Demo, Version

EVALUATION = "evaluation.parquet"
_VERSION_FILES = ("model.skops", MODEL_TOML, EXAMPLES)
_EXAMPLES = 100  # rows
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
        _open_to_readers(new)
        if out.exists():
            out.rename(Path(beside, "old"))
        new.rename(out)


def _open_to_readers(folder: Path) -> None:
    """The servers' containers run as another user, whatever this one's umask is."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))


def write(demo: Demo, name: str, seed: int, folder: Path) -> None:
    """Write the evaluation set and every version into a folder.

    Raises:
        OSError: the folder cannot be written.
    """
    rows = pa.Table.from_pandas(demo.evaluation.features, preserve_index=False)
    for column, cells in {demo.label: demo.evaluation.labels, **demo.evaluation.others}.items():
        rows = rows.append_column(column, pa.array(cells))
    pq.write_table(rows.replace_schema_metadata({_SEED: str(seed)}), folder / EVALUATION)
    examples = pa.Table.from_pandas(demo.training.features[:_EXAMPLES], preserve_index=False)
    for version, fitted in demo.versions.items():
        _write_version(fitted, ModelToml(name, version, "classification", demo.input), folder / version)
        pq.write_table(examples.replace_schema_metadata(None), folder / version / EXAMPLES)


def _write_version(fitted: Version, toml: ModelToml, folder: Path) -> None:
    from skops.io import dump

    folder.mkdir()
    dump(fitted.classifier, folder / "model.skops", compression=8)  # deflate
    write_model_toml(folder, replace(toml, description=fitted.description, compile=fitted.compile))
