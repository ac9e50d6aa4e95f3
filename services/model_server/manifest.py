"""``model.toml``, what a version is: read, and written for a model file that has none."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.model_server.errors import VersionError

FILE = "model.toml"
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"

Datatype = Literal["FP64", "FP32", "INT64", "INT32"]
Task = Literal["classification", "regression"]


class Input(BaseModel):
    """The input tensor."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1)
    datatype: Datatype
    shape: list[int] = Field(min_length=2)
    columns: list[str] | None = None


class Manifest(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=_NAME)
    version: str = Field(pattern=_NAME)
    task: Task
    description: str = ""
    compile: bool = True
    inputs: list[Input] = Field(min_length=1, max_length=1)


def read_manifest(folder: Path) -> Manifest:
    """Read the ``model.toml`` of a version folder.

    Raises:
        VersionError: it is missing, or does not make sense.
    """
    path = folder / FILE
    if not folder.is_dir():
        raise VersionError(f"{folder}: no such version folder; train a version into it or name another")
    try:
        return Manifest.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise VersionError(
            f"{path}: missing; a version folder needs one (name, version, task, inputs)"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise VersionError(f"{path}: not readable as TOML ({error}); correct it") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise VersionError(f"{path}: {where}: {first['msg']}; correct it") from error


def write_manifest(
    folder: Path, name: str, version: str, task: Task, datatype: Datatype, columns: Sequence[str]
) -> None:
    """Write the ``model.toml`` of a version folder.

    Args:
        folder: the version folder.
        name: of the model.
        version: of the version.
        task: what the model does.
        datatype: of its input.
        columns: the names of its features, in its order.

    Raises:
        VersionError: the folder cannot be written.
    """
    called, number, names = (json.dumps(part, ensure_ascii=False) for part in (name, version, list(columns)))
    # a JSON string or list is a TOML one, too
    text = f"""\
name = {called}
version = {number}
task = "{task}"

[[inputs]]
name = "features"
datatype = "{datatype}"
shape = [-1, {len(columns)}]
columns = {names}
"""
    try:
        (folder / FILE).write_text(text, encoding="utf-8")
    except OSError as error:
        raise VersionError(f"{folder / FILE}: cannot be written ({error.strerror})") from error
