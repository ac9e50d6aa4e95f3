"""Where the state lies, as commands and controllers see it; ``loadtest.lab`` implements it per backend."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from loadtest.canary.state import State

Change = Callable[[State], State]
"""A pure change; it may raise a ``LoadproofError`` to leave everything as it is."""


class Store(Protocol):
    """The state of one running lab, and through it the gateway's routes."""

    def read(self) -> State:
        """The state now.

        Raises:
            StateError: the file cannot be read.
        """

    def update(self, change: Change) -> State:
        """Read, change and write the state and what derives from it, while nobody else can.

        State and routes change in one rename: a kill at any moment leaves both old or both new. Returns when
        the gateway says that the routes are in force.

        Raises:
            StateError: the file cannot be read.
            LabError: the gateway did not take the routes over; the state says what was asked for.
        """

    def lead(self, owner: str) -> AbstractContextManager[None]:
        """Be the one controller of this lab for as long as the context lasts.

        The kernel holds the lock for a living process only: what a killed controller leaves is taken over.

        Args:
            owner: who this is, for the message that a second controller gets.

        Raises:
            ControllerError: another one leads; the message names it.
        """
