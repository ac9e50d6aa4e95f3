"""What would fill the memory is refused before it is unpacked."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from services.model_server.errors import VersionError
from services.model_server.scikit_learn.archive_check import MOST, check_archive

ZEROS = bytes(2**20)
MANY = MOST // 2**20 + 1


def _zip(members: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


def _schema(*files: str) -> bytes:
    return json.dumps({"content": [{"file": name} for name in files]}).encode()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_honest_file_passes(tmp_path: Path, compression: int) -> None:
    path = tmp_path / "model.skops"
    model = LogisticRegression().fit(np.eye(300), np.arange(300) % 2)
    skops.io.dump(model, path, compression=compression)
    check_archive(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        # one large member, many, one in another, one that is loaded many times
        (lambda: _zip({"schema.json": _schema(), "a.npy": ZEROS * MANY}), "unpack to"),
        (lambda: _zip({"schema.json": _schema(), **{f"{n}.npy": ZEROS for n in range(MANY)}}), "unpack to"),
        (lambda: _zip({"schema.json": _schema(), "a.npz": _zip({"data.npy": ZEROS * MANY})}), "unpack to"),
        (lambda: _zip({"schema.json": _schema(*["a.npy"] * 100), "a.npy": ZEROS}), "unpack to"),
        # Python's own limit would be the first to go
        (lambda: _zip({"schema.json": b'{"a":' * 300 + b"1" + b"}" * 300}), "nest more than 200 deep"),
    ],
    ids=["large", "many", "nested", "again", "deep"],
)  # fmt: skip
def test_what_would_fill_the_memory_is_refused(
    tmp_path: Path, content: Callable[[], bytes], reason: str
) -> None:
    path = tmp_path / "model.skops"
    path.write_bytes(content())
    with pytest.raises(VersionError, match=reason):
        check_archive(path)
