"""A limit that was asked for, held against the one that is in force."""

from __future__ import annotations

from loadtest.errors import LabError
from loadtest.experiment.role import Role

_RESOLUTION = 1e-4


def require_cpus(role: Role, asked: float, enforced: float | None) -> None:
    """Require that a version's CPU limit is the one that was asked for, in cores.

    Raises:
        LabError: it is another, or there is none.
    """
    if enforced is None or abs(enforced - asked) > _RESOLUTION:
        found = "none" if enforced is None else f"{enforced:g}"
        raise LabError(
            f"{role} was to get {asked:g} CPUs, in force is {found}; "
            "where a limit cannot be changed, leave out --cpus"
        )
