"""The libraries that a model was trained with, held against those that serve it.

scikit-learn warns by itself; of the others the file says the version, or the folder's ``requirements.txt``.
Another version is no error: its answers are usually the same, and whoever compares two of them wants to know.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from contract.version_folder import REQUIREMENTS, requirements_file, version_folder

_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])? *== *([\w.!+-]+)", re.MULTILINE)
_SAVED = re.compile(r"saved by (\S+) (\S+), served by (\S+): ")
_LARGEST = 100_000


class AnotherVersion(UserWarning):
    """A model is served by another version of a library than it was saved by."""


def compare_version(library: str, saved: str | None) -> None:
    """Warn where a model file was saved by another version of its library.

    Args:
        library: as the package is called; of several that hold it, any.
        saved: the version in the file; None where it has none.
    """
    here = _installed(library)
    if saved and here and saved != here:
        warnings.warn(
            f"saved by {library} {saved}, served by {here}: its answers may differ",
            AnotherVersion,
            stacklevel=2,
        )


def compare_requirements(folder: Path) -> None:
    """Warn, in one line, of packages that the folder pins and that are others here, or missing."""
    try:
        text = requirements_file(folder).read_bytes()[:_LARGEST].decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        # whoever makes an environment of it says what is wrong with it
        return
    others = [
        f"{name} {pinned} ({f'here {here}' if (here := _installed(name)) else 'not here'})"
        for name, pinned in _PIN.findall(text)
        if pinned != _installed(name)
    ]
    if others:
        warnings.warn(
            f"its {REQUIREMENTS} names {', '.join(others[:5])}"
            f"{f' and {len(others) - 5} more' if len(others) > 5 else ''}: its answers may differ",
            AnotherVersion,
            stacklevel=2,
        )


def of_its_own(said: Iterable[str], path: Path) -> str:
    """What to do if a model fails that another version of its library saved, by the warnings of that.

    Empty: there is no such warning.
    """
    found = next((match for line in said if (match := _SAVED.search(line))), None)
    if found is None:
        return ""
    library, saved, here = found.groups()
    return (
        f"it was saved by {library} {saved}, here is {here}: write the line {library}=={saved} into "
        f"{requirements_file(version_folder(path))}, so that this version gets packages of its own"
    )


def _installed(package: str) -> str | None:
    for name in (package, *_SAME.get(package, ())):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


_SAME = {"xgboost": ("xgboost-cpu",), "xgboost-cpu": ("xgboost",)}
