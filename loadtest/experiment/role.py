"""The roles that versions play in a run."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Who a version is in a run, whatever it is called."""

    STABLE = "stable"
    """In production."""
    CANDIDATE = "candidate"
    """Wants to be."""
    CONTROL = "control"
    """A second deployment of stable: how it differs from stable is noise."""


ROLES = (Role.STABLE, Role.CANDIDATE)
"""The two that are compared, in the order in which every page, table and file shows them."""
ROLES_WITH_CONTROL = (*ROLES, Role.CONTROL)
"""All that samples can be of; they hold a role by its place here."""
