"""Which number of an answer is the score of which class, and which label scores without one stand for."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contract.label_text import label_text
from loadtest.data.class_order import is_yes_last
from loadtest.errors import ExperimentError

_LARGEST = 3.4e38
"""Of a score, what single precision holds."""


@dataclass(frozen=True)
class ClassScores:
    """How one version's scores are read.

    Args:
        classes: the labels in the order in which samples have their scores.
        places: where each stands in the version's own order, -1: the version does not know it; empty: nobody
            says in which order it gives them.
        single: one score alone is that of the second of two classes.
        outputs: names of the tensors of the label and of the scores, where a protocol names them.
        threshold: of two classes, the second is answered where its score is at least this, whatever label
            the version gives; None: its label stands.
    """

    classes: tuple[str, ...]
    places: tuple[int, ...] = ()
    single: bool = False
    outputs: tuple[str, ...] = ()
    threshold: float | None = None

    @classmethod
    def of(
        cls,
        classes: tuple[str, ...],
        *,
        named: bool,
        own: Sequence[Any] = (),
        outputs: tuple[str, ...] = (),
    ) -> ClassScores:
        """For one version.

        ``named``: the experiment names the classes, in the order of the scores. ``own`` is what the version
        says of its classes; empty: nothing.

        Raises:
            ExperimentError: the version knows a class that the evaluation set does not.
        """
        order = [label_text(label) for label in own] or list(classes if named else ())
        if others := [label for label in order if label not in classes]:
            raise ExperimentError(
                f"a version gives scores of the class {others[0]!r}, which no row has; name all classes "
                f"under [data] classes, such as {[*classes, *others]}"
            )
        places = tuple(order.index(label) if label in order else -1 for label in classes) if order else ()
        return cls(classes, places, len(classes) == 2 and (named or is_yes_last(classes)), outputs)

    def ordered(self, scores: Sequence[Any]) -> tuple[float, ...]:
        """Scores in the order of ``classes``; one alone stays one.

        Raises:
            ValueError: they are no numbers, not finite, too many or too few, or nobody knows their order.
        """
        for score in scores:
            if isinstance(score, bool) or not isinstance(score, int | float) or not abs(score) <= _LARGEST:
                raise ValueError(f"{score!r} is no score")
        if len(scores) == 1:
            if not self.single:
                raise ValueError(
                    "one score where there is one per class"
                    if len(self.classes) != 2
                    else "one score of two classes; name them under [data] classes, the positive one last"
                )
            return (float(scores[0]),)
        if not self.places:
            raise ValueError(
                f"{len(scores)} scores, and nobody says of which class; name the classes in their order "
                "under [data] classes"
            )
        expected = sum(place >= 0 for place in self.places)
        if len(scores) != expected:
            raise ValueError(f"{len(scores)} scores where {expected} are expected")
        return tuple(0.0 if place < 0 else float(scores[place]) for place in self.places)

    def by_name(self, scores: dict[str, Any]) -> tuple[float, ...] | None:
        """Scores that stand under the names of the classes; None: these are other names."""
        named = {label_text(name): score for name, score in scores.items()}
        if len(named) < 2 or not set(named) <= set(self.classes):
            return None
        # every class has a place: that of its name
        whole = ClassScores(self.classes, tuple(range(len(self.classes))))
        return whole.ordered([named.get(label, 0.0) for label in self.classes])

    def label(self, scores: Sequence[float]) -> str:
        """The class with the greatest score; of one score, the second class where it is above 0.5.

        With a threshold, the second class where its score reaches it, in the precision that samples keep.
        """
        if self.threshold is not None:
            own, least = array("f", (scores[-1], self.threshold))
            return self.classes[own >= least]
        if len(scores) == 1:
            return self.classes[scores[0] > 0.5]
        return self.classes[max(range(len(scores)), key=scores.__getitem__)]
