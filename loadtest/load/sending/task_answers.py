"""Which texts can be an answer to the task at all: a server may say ``internal error`` with status 200.

What cannot be an answer of any model of the task is an error of the version that sent it. A class that no row
has may be one: a model may know more classes than the evaluation set shows. It is a wrong answer, counted and
shown as no label.
"""

from __future__ import annotations

import math
import re
from collections import Counter

from loadtest.data.dataset import Dataset

MOST_KEPT = 20
"""Texts of a version that are kept to be shown; a server may say something else each time."""
_LONGEST = 60

_NOTHING = re.compile(r"\s*|nan|[+-]?inf(inity)?|none|null|n/?a|undefined", re.IGNORECASE)
_TROUBLE = re.compile(
    r"\b(errors?|exception|traceback|failed|failure|unavailable|time(d )?out|overloaded|not found|"
    r"forbidden|unauthorized|too many requests|try again)\b",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"\s*[<{\[]")


class TaskAnswers:
    """``TaskAnswers(dataset).are_of("internal error")`` is False; made once per worker.

    Of a regression every finite number is an answer. Of a classification every label is, and of what is no
    label neither nothing (``nan``, blanks), nor the words of an error, nor text where all labels are numbers;
    where there are no labels, no numbers are expected. What the codec read as a ranking is one.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._regression = dataset.labels.dtype.kind == "f"
        self._ranked = dataset.ranked
        self.labels = frozenset() if self._regression else frozenset(dataset.labels.tolist())
        # a class that the experiment names is none of an error's words, whether or not a row has it
        self._named = frozenset(dataset.named_classes)
        self._numbers = self._regression or (
            dataset.labelled and all(is_finite(label) for label in self.labels)
        )
        self._known: dict[str, bool] = {}

    def are_of(self, text: str) -> bool:
        """Whether a model of the task can have given this answer."""
        if self._regression:
            return is_finite(text)
        if self._ranked:
            return text.startswith("[")
        known = self._known.get(text)
        if known is None:
            known = text in self.labels or text in self._named or not self._is_trouble(text)
            if len(self._known) < 10_000:  # a server may say something else each time
                self._known[text] = known
        return known

    def _is_trouble(self, text: str) -> bool:
        if _NOTHING.fullmatch(text):
            return True
        if self._numbers:
            return not is_finite(text) and text not in ("true", "false")
        return bool(_TROUBLE.search(text) or _MARKUP.match(text))


class NotAnswers:
    """The texts of one version that were no answer, with how often each came; the first ones are kept."""

    def __init__(self) -> None:
        self.texts: Counter[str] = Counter()

    def add(self, text: str) -> None:
        """Count one."""
        short = text[:_LONGEST]
        if short in self.texts or len(self.texts) < MOST_KEPT:
            self.texts[short] += 1


def is_finite(text: str) -> bool:
    """Whether a text is a number that is."""
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False
