"""Of which class each of a version's probabilities is: by what the version says, or by its own answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contract.label_text import label_text
from services.model_server.outputs import PROBA
from services.model_server.version import LoadedVersion


class Probabilities(NamedTuple):
    """The classes of a version's probabilities.

    Args:
        classes: in the order of the probabilities; empty where they cannot be gated.
        said: whether the version says so; else it was read off its answers.
        missing: why ``classes`` is empty, to follow the version's name.
    """

    classes: list[str]
    said: bool = True
    missing: str = ""


def probabilities_of(
    version: LoadedVersion, answers: Mapping[str, NDArray[Any]], labels: Sequence[str]
) -> Probabilities:
    """By what a version answered to rows; ``labels`` has those of the evaluation set, each once."""
    if version.task != "classification":
        return Probabilities([])
    if PROBA not in answers:
        return Probabilities([], missing="gives none")
    scores = np.asarray(answers[PROBA])
    # exported forests add up single precision, and answer -1e-7
    if not ((scores >= -1e-6).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3)):
        return Probabilities([], missing="gives scores that are none")
    if version.classes:
        return Probabilities(list(map(label_text, version.classes)))
    classes = _by_answers(scores, list(map(label_text, answers["predict"].tolist())), labels)
    missing = (
        f"gives {scores.shape[1]} and does not say of which class; name the classes in their order under "
        "[data] classes, then gate log_loss"
    )
    return Probabilities(classes, said=False, missing="" if classes else missing)


def _by_answers(scores: NDArray[Any], answers: Sequence[str], labels: Sequence[str]) -> list[str]:
    """The class in each place, where the label is always that of the highest; empty: not sure."""
    highest = scores == scores.max(axis=1, keepdims=True)
    sure = highest.sum(axis=1) == 1
    places = highest.argmax(axis=1)
    pairs = {(place, answers[row]) for row, place in enumerate(places.tolist()) if sure[row]}
    found = dict(pairs)
    if not len(pairs) == len(found) == len(set(found.values())):
        return []
    left = [label for label in labels if label not in found.values()]
    width = scores.shape[1]
    if len(found) == width - 1 and len(left) == 1:
        found[next(place for place in range(width) if place not in found)] = left[0]
    return [found[place] for place in range(width)] if len(found) == width else []
