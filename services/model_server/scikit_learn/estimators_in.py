"""The estimators that a model is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def estimators_in(model: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """A model and every estimator in it."""
    seen = set() if seen is None else seen
    if id(model) in seen:
        return
    seen.add(id(model))
    if isinstance(model, list | tuple):
        inner: list[Any] = list(model)
    elif isinstance(model, dict):
        inner = list(model.values())
    elif hasattr(model, "get_params") and hasattr(model, "__dict__"):
        yield model
        inner = list(vars(model).values())
    else:
        return
    for part in inner:
        yield from estimators_in(part, seen)
