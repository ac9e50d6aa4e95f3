"""How much a skops file unpacks to, before anything of it is unpacked."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from services.model_server.errors import VersionError

MOST = 64 * 2**20
"""Bytes that any file may unpack to."""

TIMES = 50
"""A larger one may unpack to this many times its own size; trees and text compress to a twentieth."""

_SCHEMA = "schema.json"
_DEEPEST = 200


def check_archive(path: Path) -> None:
    """Refuse what would fill the memory: a zip bomb, one in another, or a member that is read many times.

    Raises:
        VersionError: it unpacks to more than ``MOST`` bytes and ``TIMES`` its size, or nests too deeply.
        BadZipFile, KeyError, ValueError, OSError: it is no skops file.
    """
    size = path.stat().st_size
    most = max(MOST, TIMES * size)
    with ZipFile(path) as archive:
        # what a member says of its size binds: zipfile reads no further
        sizes = {member.filename: member.file_size for member in archive.infolist()}
        _bound(sum(member.file_size for member in archive.infolist()), most, size)
        for name in [name for name in sizes if name.endswith(".npz")]:
            with ZipFile(io.BytesIO(archive.read(name))) as inner:
                sizes[name] += sum(member.file_size for member in inner.infolist())
            _bound(sizes[name], most, size)
        schema = json.loads(archive.read(_SCHEMA))
    # each place that names a member loads it again
    _bound(sum(sizes.get(name, 0) for name in _files(schema)), most, size)


def _bound(unpacked: int, most: int, size: int) -> None:
    if unpacked > most:
        raise VersionError(
            f"its {size:,} bytes unpack to {unpacked:,}, which is more than a model's; save the model again"
        )


def _files(schema: Any) -> list[str]:
    found, below = [], [(schema, 0)]
    while below:
        part, depth = below.pop()
        if depth > _DEEPEST:
            raise VersionError(f"its parts nest more than {_DEEPEST} deep")
        if isinstance(part, dict):
            if isinstance(part.get("file"), str):
                found.append(part["file"])
            below += [(child, depth + 1) for child in part.values()]
        elif isinstance(part, list):
            below += [(child, depth + 1) for child in part]
    return found
