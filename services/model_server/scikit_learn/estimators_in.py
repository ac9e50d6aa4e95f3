"""The estimators that a model is made of."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sklearn.base import is_classifier, is_regressor

_LIBRARIES = ("sklearn", "xgboost", "lightgbm", "catboost")
"""Whose classes run without the package that the object comes from."""
_DEEPEST = 3
_MOST = 500


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


def learner_of(model: Any) -> Any:
    """What in a model is given the columns as they are: of a search its best, of a pipeline its only step."""
    for _ in range(_DEEPEST):
        steps = getattr(model, "steps", None)
        if isinstance(steps, list) and steps:
            if any(step is not None and step != "passthrough" for _, step in steps[:-1]):
                return model
            model = steps[-1][1]
        else:
            # of a search; of a threshold that was tuned
            inner = getattr(model, "best_estimator_", getattr(model, "estimator_", None))
            if inner is None:
                return model
            model = inner
    return model


def inner_estimator(model: Any) -> tuple[str, Any] | None:
    """The nearest fitted classifier or regressor of a known library among what an object carries.

    Returns:
        The attributes that lead to it, such as ``model.estimator``, and it; None: there is none.
    """
    seen, level = {id(model)}, [("", model)]
    for _ in range(_DEEPEST):
        found: list[tuple[str, Any]] = []
        for path, owner in level:
            for name, part in _attributes(owner):
                if id(part) not in seen and len(found) < _MOST:
                    seen.add(id(part))
                    found.append((f"{path}.{name}".lstrip("."), part))
        for path, part in found:
            if type(part).__module__.partition(".")[0] not in _LIBRARIES or not _predicts(part):
                continue
            # a part of the work, such as one group's model, takes other columns than the whole
            widths = {getattr(one, "n_features_in_", None) for one in (model, part)} - {None}
            if len(widths) < 2:
                return path, part
        level = [(path, part) for path, part in found if hasattr(part, "__dict__")]
    return None


def _attributes(owner: Any) -> Iterator[tuple[str, Any]]:
    """Attributes and properties, those that are nobody's own business last."""
    if inspect.ismodule(owner) or inspect.isclass(owner) or inspect.isroutine(owner):
        return
    kind = type(owner)
    properties = [name for name in dir(kind) if isinstance(inspect.getattr_static(kind, name), property)]
    names = dict.fromkeys([*properties, *getattr(owner, "__dict__", ())])
    for name in sorted(names, key=lambda name: name.startswith("_")):
        if name.startswith("__"):
            continue
        with suppress(Exception):  # a property may do anything
            yield name, getattr(owner, name)


def _predicts(part: Any) -> bool:
    with suppress(AttributeError):
        fitted = hasattr(part, "classes_") or hasattr(part, "n_features_in_")
        return fitted and (is_classifier(part) or is_regressor(part))
    return False
