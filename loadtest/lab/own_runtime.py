"""The runtime of a version whose folder holds a ``requirements.txt``: its packages, and ours beside them.

::

    runtime = own_runtime(Path("models/churn/v1"))   # None: it runs on the model server's own packages
    runtime.packages                                 # ("scikit-learn==1.5.2", ..., "granian==2.8.7", ...)
    runtime.digest                                   # names the environment or the image that holds them

Stable may so run on another scikit-learn than the candidate, which is what a new version often is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from contract.version_folder import requirements_file
from loadtest.errors import ModelError

_SERVER = Path(__file__).parents[2] / "requirements" / "model_server.in"

_PINNED = frozenset({"flask", "granian", "orjson", "prometheus-client"})
"""What answers requests is as tested, unless the version names it; what computes follows the version."""

_NUMPY_2 = {"scikit-learn": "1.4.2", "scipy": "1.13.0", "pandas": "2.2.2", "statsmodels": "0.14.2"}
"""The first releases whose wheels run on NumPy 2; of those before, not all say so in their metadata."""

_LARGEST = 100_000


@dataclass(frozen=True)
class OwnRuntime:
    """``own``: the lines of the version's file; ``packages``: they, and what the model server needs."""

    own: tuple[str, ...]
    packages: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Equal for equal packages, whatever the order of their lines."""
        return hashlib.sha256("\n".join(sorted(self.packages)).encode()).hexdigest()[:16]


def own_runtime(folder: Path, server: Path = _SERVER) -> OwnRuntime | None:
    """Read the ``requirements.txt`` of a version's folder; None where it has none.

    Args:
        folder: of the version.
        server: what the model server needs, one pinned requirement a line.

    Raises:
        ModelError: a line is no requirement, or names a package by a path or a URL.
    """
    path = requirements_file(folder)
    try:
        text = path.read_bytes()[: _LARGEST + 1].decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); write it as UTF-8 text") from None
    if len(text) > _LARGEST:
        raise ModelError(f"{path}: more than {_LARGEST} characters; list the packages that the model needs")
    own: list[Requirement] = []
    for number, line in enumerate(text.splitlines(), start=1):
        stated = line.split(" #")[0].split(" --hash")[0].rstrip("\\ \t").strip()
        if stated and not stated.startswith(("#", "--hash")):
            own.append(_requirement(stated, f"{path}: line {number}"))
    # a package may stand there more than once, for different Pythons
    named = {canonicalize_name(one.name) for one in own}
    ours = (Requirement(line) for line in server.read_text("utf-8").splitlines() if not line.startswith("#"))
    beside = [str(one) if one.name in _PINNED else one.name for one in ours if one.name not in named]
    if any(map(_needs_numpy_1, own)):
        beside = ["numpy<2" if name == "numpy" else name for name in beside]
    lines = tuple(map(str, own))
    return OwnRuntime(lines, (*lines, *beside))


def _needs_numpy_1(requirement: Requirement) -> bool:
    """Whether it admits no release for NumPy 2."""
    first = _NUMPY_2.get(canonicalize_name(requirement.name))
    if first is None:
        return False
    named = [one.version.removesuffix(".*") for one in requirement.specifier]
    try:
        # a range that admits any admits one of these: a bound, what comes just after it, or whatever comes
        after = [Version(end) for one in named for end in (one, f"{Version(one).base_version}.1")]
    except InvalidVersion:
        return False
    tried = [Version(first), Version("99999"), *(one for one in after if one >= Version(first))]
    return not any(requirement.specifier.contains(one, prereleases=True) for one in tried)


def _requirement(stated: str, where: str) -> Requirement:
    if stated.startswith("-"):
        raise ModelError(f"{where}: {stated!r} is an option of pip; list packages alone, like numpy==2.3.5")
    try:
        requirement = Requirement(stated)
    except InvalidRequirement:
        raise ModelError(
            f"{where}: {stated!r} is no package; write a name and a version: numpy==2.3.5"
        ) from None
    if requirement.url:
        raise ModelError(f"{where}: {stated!r} names a URL; take a release from the package index")
    return requirement
