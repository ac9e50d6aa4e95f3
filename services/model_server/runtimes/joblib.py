"""``model.joblib``: a scikit-learn model as a pickle, which runs code when it is loaded."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import Any

from contract.version_folder import requirements_file, version_folder
from services.model_server.errors import VersionError, missing_package, one_line
from services.model_server.scikit_learn import format_of

# what pickle says of a name of __main__, which is another module here
_OWN = re.compile(r"Can't get attribute '(\w+)' on <module '(?:[\w.]*__main__|services\.)")
_WRITTEN_BY = re.compile(rb"_sklearn_version.{1,12}?(\d+\.\d+(?:\.\w+)*)", re.DOTALL)


def _read(path: Path) -> Any:
    import joblib
    import sklearn

    try:
        return joblib.load(path)
    except ModuleNotFoundError as error:
        instead = "save the model in its library's own format, or export it to ONNX"
        raise missing_package(path, error.name or "", instead) from error
    except Exception as error:
        # unpickling can raise anything
        written, here = _written_by(path), sklearn.__version__
        requirements = requirements_file(version_folder(path))
        if own := _OWN.search(str(error)):
            raise VersionError(
                f"{path}: holds {own[1]!r} by name alone, which the training script defined; save "
                "it with cloudpickle.dump(model, open('model.joblib', 'wb')), which takes that code along, "
                f"or put it into a package and its name into {requirements}"
            ) from error
        if written not in (None, here):
            raise VersionError(
                f"{path}: was saved by scikit-learn {written}, which scikit-learn {here} here cannot "
                f"read ({one_line(error)[:80]}); write the line scikit-learn=={written} into {requirements}, "
                f"so that this version gets packages of its own, or train it again with {here}"
            ) from error
        raise VersionError(
            f"{path}: not readable by joblib ({one_line(error)}); save the model again"
        ) from error


def _written_by(path: Path) -> str | None:
    """The scikit-learn whose version stands in a pickle, compressed or not; None where there is none."""
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        elif content[:1] == b"\x78":
            content = zlib.decompress(content)
    except (OSError, EOFError, zlib.error):
        return None
    found = _WRITTEN_BY.search(content)
    return found[1].decode() if found else None


FORMATS = (format_of("model.joblib", _read, runs_code=True, suffixes=(".joblib", ".pkl", ".pickle")),)
