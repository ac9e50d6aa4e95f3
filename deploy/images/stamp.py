"""The labels of an image, and the tags that follow from it: the version, the git commit, the source."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from loadtest.errors import UsageError

ROOT = Path(__file__).parents[2]
DIRTY = "-dirty"
"""Ends a revision whose working tree held changes that no commit has."""

_SHORT = 12


@dataclass(frozen=True)
class Stamp:
    """Where an image comes from.

    Args:
        version: of the project.
        revision: the full git commit, with ``-dirty`` behind it where the tree had changes; empty: not known.
        source: a URL of the repository, without credentials; empty: not known.
    """

    version: str
    revision: str = ""
    source: str = ""

    @property
    def variables(self) -> dict[str, str]:
        """What ``compose.yaml`` hands to the builds."""
        return {
            "LOADPROOF_VERSION": self.version,
            "LOADPROOF_REVISION": self.revision,
            "LOADPROOF_SOURCE": self.source,
        }

    @property
    def tags(self) -> tuple[str, str]:
        """The version, and the commit.

        Raises:
            UsageError: the commit is not known, or is not what was built.
        """
        if not self.revision:
            raise UsageError("the images do not say from which commit they are: build them in a git checkout")
        if self.revision.endswith(DIRTY):
            raise UsageError(
                "the images would hold changes that no commit has, and be tagged by a commit: commit first"
            )
        return self.version, self.revision[:_SHORT]


def read_stamp(root: Path = ROOT) -> Stamp:
    """The stamp of a checkout; ``REVISION`` in the environment takes the place of git's answer."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    revision = os.environ.get("REVISION", "") or _git(root, "rev-parse", "HEAD")
    if revision and not os.environ.get("REVISION") and _git(root, "status", "--porcelain"):
        revision += DIRTY
    return Stamp(version, revision, web_address(_git(root, "remote", "get-url", "origin")))


def web_address(remote: str) -> str:
    """A git remote as people open it; credentials in it stay out. Empty where it is no web address.

    >>> web_address("git@github.com:me/loadproof.git")
    'https://github.com/me/loadproof'
    """
    found = re.fullmatch(
        r"(?:https?://(?:[^@/]*@)?|(?:ssh://)?git@)([^:/]+)(?::\d+)?[:/](.+?)(?:\.git)?/?", remote
    )
    return f"https://{found[1]}/{found[2]}" if found else ""


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
