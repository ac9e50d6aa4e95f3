"""``python -m services.model_server.place GIVEN``: make one model a model's folder with a version in it.

A file such as ``churn.joblib`` becomes ``models/churn/v1/model.joblib``, and an MLflow folder ``churn``
``models/churn/v1``, as copies. Standard output is the path of the model's folder.
"""

from __future__ import annotations

import filecmp
import re
import shutil
import sys
from pathlib import Path

from contract.version_folder import MLMODEL
from services.model_server.errors import VersionError
from services.model_server.runtimes import formats


def place(given: Path, models: Path = Path("models")) -> Path:
    """Copy a model to where it can be served, unless it is there already; its folder.

    ``models`` holds a folder per model.

    Raises:
        VersionError: the file is of no known format, cannot be copied, or another model has its place.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", given.stem if given.is_file() else given.name).lstrip("._-")
    folder = models / (name or "model")
    target = folder / "v1" / (_file_of(given) if given.is_file() else MLMODEL)
    source = given if given.is_file() else given / MLMODEL
    if (folder / "v1").exists():
        if target.is_file() and filecmp.cmp(source, target, shallow=False):
            return folder
        place_of_other = folder / "v2" / (target.name if given.is_file() else "")
        raise VersionError(
            f"{folder / 'v1'}: exists already and is another model; copy {given} to {place_of_other} to "
            f"compare both, and name {folder}"
        )
    try:
        if given.is_file():
            target.parent.mkdir(parents=True)
            shutil.copyfile(given, target)
        else:
            shutil.copytree(given, folder / "v1")
    except OSError as error:
        raise VersionError(f"{target}: cannot be written ({error.strerror})") from error
    return folder


def _file_of(given: Path) -> str:
    """The name that a file of this suffix has in a version folder."""
    files = {suffix: one.file for one in formats() for suffix in one.suffixes}
    names = {one.file for one in formats()}
    if given.name in names:
        return given.name
    if given.suffix.lower() not in files:
        raise VersionError(
            f"{given}: which format this is, its name does not say; name it *{', *'.join(sorted(files))}, or "
            "put it into a version's folder under the name that docs/bring-your-own-model.md lists"
        )
    return files[given.suffix.lower()]


def main() -> int:
    """Place the model that the argument names; 2 where that cannot be."""
    try:
        sys.stdout.write(f"{place(Path(sys.argv[1]))}\n")
    except VersionError as error:
        sys.stderr.write(f"model-server: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
