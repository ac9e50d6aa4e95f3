"""``model.skops``: a scikit-learn model of which only types are loaded that cannot run code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from services.model_server.errors import AS_JOBLIB, VersionError, not_readable
from services.model_server.scikit_learn import format_of


def _read(path: Path) -> Any:
    from skops.io import get_untrusted_types, load

    from services.model_server.scikit_learn.archive_check import check_archive
    from services.model_server.scikit_learn.tree_check import check_model
    from services.model_server.scikit_learn.trusted_types import TRUSTED

    try:
        check_archive(path)
        named = get_untrusted_types(file=path)
        untrusted = sorted(set(named) - TRUSTED)
        # no more than it names: skops copies the list at each of thousands of nodes
        model = None if untrusted else load(path, trusted=named)
        check_model(model)
    except VersionError as error:
        raise VersionError(f"{path}: {error}") from None
    except Exception as error:
        # skops lets through whatever a broken file makes its parts raise
        raise not_readable(path, "skops", error) from error
    if untrusted:
        remedy = f"if you trust whoever made it, {AS_JOBLIB}, and allow it by name with ALLOW_PICKLE"
        if all(name.startswith("scipy.stats.") for name in untrusted):
            # such an object runs text of the file as code when it is loaded
            remedy = "save the best_estimator_ of the search alone, without the distributions it drew from"
        raise VersionError(
            f"{path}: holds types that are not known to be safe ({', '.join(untrusted)}); {remedy}"
        )
    return model


def _native(path: Path) -> tuple[str, ...]:
    """scikit-learn's neighbours and distances follow the state in a file while it is loaded, unchecked."""
    from services.model_server.scikit_learn.archive_check import check_archive

    try:
        check_archive(path)
        with ZipFile(path) as archive:
            content = archive.read("schema.json")
        schema = content.decode(json.detect_encoding(content))
        if "\\u" in schema:  # a name may be written so
            schema = json.dumps(json.loads(schema), ensure_ascii=False)
    except Exception:  # reading it says what is wrong
        return ()
    return ("sklearn.neighbors",) if any(name in schema for name in _NEIGHBOURS) else ()


_NEIGHBOURS = ("sklearn.metrics._dist_metrics", "sklearn.neighbors._ball_tree", "sklearn.neighbors._kd_tree")

FORMATS = (replace(format_of("model.skops", _read, suffixes=(".skops",)), native=_native),)
