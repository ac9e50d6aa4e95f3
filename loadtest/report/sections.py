"""Sections of a report that are shown and not judged: one that fails says so, and takes no other with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Sections:
    """Makes sections, and remembers which could not be made: ``sections.make("Latency", draw, None)``."""

    def __init__(self) -> None:
        self.missing: list[str] = []

    def make(self, name: str, draw: Callable[[], T], otherwise: T) -> T:
        """What ``draw`` returns; where it fails ``otherwise``, and a line of ``missing`` that says why."""
        try:
            return draw()
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            self.missing.append(f"{name}: not shown, it could not be made ({type(error).__name__}: {reason})")
            return otherwise
