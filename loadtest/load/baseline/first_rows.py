"""What a version answers to the first rows, before any load: most must be answers, and labels of the task.

Two servers that answer probabilities, or 0 and 1 where the labels are no and yes, are wrong alike on every
row: they differ by nothing, and no load is worth it.
"""

from __future__ import annotations

from collections import Counter

from loadtest.data.dataset import Dataset
from loadtest.data.look_alikes import told_apart
from loadtest.data.ranking_text import ranking_text
from loadtest.data.repeats import LOOKS
from loadtest.errors import UsageError
from loadtest.experiment.role import Role
from loadtest.load.sending.task_answers import is_finite

FIRST_ROWS = LOOKS
"""Rows that are looked at before the load."""
_MOST = 0.5
_SHOWN, _LONGEST = 3, 40
_BROKEN = "send it one by hand, see its log, and check that the experiment sends what it takes"
_SLOW = "give [load] a longer timeout, or see its log for what takes so long"
_OPPOSITES = ({"0", "1"}, {"false", "true"})


class FirstRows:
    """The answers of one version to its first ``count`` rows: ``add`` each until ``refuse`` says why."""

    def __init__(self, role: Role, dataset: Dataset, count: int) -> None:
        self._name = "stable" if role == Role.STABLE else "the candidate"
        self._count = min(count, FIRST_ROWS)
        regression = dataset.labels.dtype.kind == "f"
        self._shown = [] if regression else sorted(set(dataset.labels.tolist()))
        labels = set(self._shown)
        if len(labels) == 1:  # known frauds alone: an answer of 0 is wrong, and yet a label
            labels = next((pair for pair in _OPPOSITES if labels <= pair), labels)
        # a list is no label, and its items may be any of a catalogue
        self._labels = labels if dataset.labelled and not regression and not dataset.ranked else None
        self._ranked = dataset.ranked
        self._errors: Counter[str] = Counter()
        self._foreign: Counter[str] = Counter()
        self._asked = 0

    def add(self, error: str | None, prediction: str | None) -> None:
        """Look at one more answer, while it is one of the first."""
        if self._asked == self._count:
            return
        self._asked += 1
        if error is not None:
            self._errors[error] += 1
        elif prediction is not None and self._is_foreign(prediction):
            self._foreign[prediction] += 1

    def _is_foreign(self, prediction: str) -> bool:
        if self._ranked:
            return prediction == ranking_text([])
        return self._labels is not None and prediction not in self._labels

    def refuse(self) -> UsageError | None:
        """Why no load is worth it; None as long as nothing is known against it."""
        failed, foreign = self._errors.total(), self._foreign.total()
        if failed > _MOST * self._count:
            kinds = ", ".join(kind for kind, _ in self._errors.most_common(_SHOWN))
            return UsageError(
                f"{self._name} failed {failed} of the first {self._asked} rows, without any load ({kinds}): "
                f"{_SLOW if set(self._errors) == {'timeout'} else _BROKEN}"
            )
        answered = self._asked - failed
        if self._ranked and self._asked == self._count and foreign > _MOST * answered:
            return UsageError(
                f"{foreign} of the first {answered} answers of {self._name} are empty lists: send it a row "
                "by hand, and check where the list stands in its answer"
            )
        if self._asked == self._count and foreign > _MOST * answered:
            answers, labels = told_apart(
                (text[:_LONGEST] for text, _ in self._foreign.most_common(_SHOWN)),
                (text[:_LONGEST] for text in self._shown[:_SHOWN]),
            )
            return UsageError(
                f"{foreign} of the first {answered} answers of {self._name} are no label: it answers "
                f"{answers}, the labels read {labels}; {self._remedy()}"
            )
        return None

    def _remedy(self) -> str:
        if all(is_finite(text) and not float(text).is_integer() for text in self._foreign):
            return (
                "these are scores: set [data] threshold, serve the label instead, or make [data] task a "
                "regression on them"
            )
        return "write the labels as the model does, or serve an output that is a label"
