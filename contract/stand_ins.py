"""What lies in the place of a file that did not come along: a pointer, a web page."""

from __future__ import annotations

import re
from pathlib import Path

LFS_POINTER = (
    b"version https://git-lfs.github.com/spec/",
    "is a pointer of Git LFS, not the file itself; fetch that: git lfs pull",
)
"""Its first bytes, and what to say of it."""
_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!doctype|(?:<\?xml[^>]*>\s*)?(?:<!doctype\s+html|<html))", re.IGNORECASE
)
_BEGINNING = 256
"""Bytes that tell."""


def is_page(content: bytes) -> bool:
    """Whether a file begins as a web page does."""
    return _PAGE.match(content) is not None


def stand_in(path: Path) -> str | None:
    """What a file is instead of what its name says, and what to do; None where its first bytes do not tell.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(_BEGINNING)
    if content.startswith(LFS_POINTER[0]):
        return LFS_POINTER[1]
    if is_page(content):
        return "is a web page, such as a page that asks to sign in; download the file itself"
    return None
