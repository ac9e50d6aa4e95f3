"""The formats of model files, one module per library: a new one is a new module here, and nothing else.

A module lists its formats in ``FORMATS`` and imports its library late: libraries take seconds of a small CPU
limit, and a version needs only that of its own format.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Collection
from functools import cache
from importlib import import_module
from pathlib import Path

from contract.stand_ins import stand_in
from contract.version_folder import model_folder
from services.model_server.errors import VersionError
from services.model_server.runtime import Format


@cache
def formats() -> tuple[Format, ...]:
    """Every format, those that run no code first."""
    modules = (import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    found = (one for module in modules for one in module.FORMATS)
    return tuple(sorted(found, key=lambda one: one.runs_code))


def model_file(folder: Path) -> tuple[Format, Path]:
    """The one model file of a version folder, and its format.

    Raises:
        VersionError: there is none, or more than one, or something else lies in its place.
    """
    found = _files(folder) or _files(model_folder(folder))
    inner = next((one.inner(path, formats()) for one, path in found if one.inner), None)
    if inner is None and len(found) != 1:
        there = " and ".join(path.name for _, path in found) or "none"
        raise VersionError(f"{folder}: needs exactly one of {_names()}; there is {there}")
    kind, path = inner or found[0]
    try:
        said = stand_in(path) if path.is_file() else None
    except OSError:
        said = None  # whoever reads it says why
    if said:
        raise VersionError(f"{path}: {said}")
    return kind, path


def check_allowed(kind: Format, path: Path, name: str, allowed: Collection[str]) -> None:
    """Refuse a file that runs code, unless its model was allowed by name.

    Raises:
        VersionError: it is one.
    """
    if kind.runs_code and name not in allowed:
        raise VersionError(
            f"{path}: loading {kind.code} runs the code in it; if you trust whoever made it, allow it by "
            f"name with ALLOW_PICKLE={name} in the environment, or {kind.instead} instead"
        )


def find_versions(folder: Path) -> list[str]:
    """The names of the version folders in a model's folder.

    Raises:
        VersionError: there is none.
    """
    found = (path.name for path in folder.glob("*") if _files(path) or _files(model_folder(path)))
    if versions := sorted(found):
        return versions
    by_suffix = {suffix: one for one in reversed(formats()) for suffix in one.suffixes}
    stray = sorted(path for path in (*folder.glob("*"), *folder.glob("*/*")) if path.suffix in by_suffix)
    hint = f"for example {folder / 'v1' / 'model.skops'}"
    if stray:
        place = stray[0].parent if stray[0].parent != folder else folder / "v1"
        kind = by_suffix[stray[0].suffix]
        hint = f"{stray[0]} must become {place / kind.file}"
        if kind.runs_code:
            hint += f", and loading it runs code, so allow it with ALLOW_PICKLE={folder.absolute().name}"
    raise VersionError(f"{folder}: no version in it, that is a folder with one of {_names()}; {hint}")


def _files(folder: Path) -> list[tuple[Format, Path]]:
    return [(one, folder / one.file) for one in formats() if (folder / one.file).exists()]


def _names() -> str:
    return ", ".join(one.file for one in formats())
