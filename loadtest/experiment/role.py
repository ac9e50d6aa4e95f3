"""The roles that versions play in a run."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Who a version is in a run, whatever it is called."""

    STABLE = "stable"
    """In production."""
    CANDIDATE = "candidate"
    """Wants to be."""


ROLES = (Role.STABLE, Role.CANDIDATE)
"""In the order in which every page, table and file shows them; samples hold a role by its place here."""
