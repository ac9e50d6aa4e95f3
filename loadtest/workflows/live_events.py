"""The live view of the gates from a load generator's lines, for a process of its own beside a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from loadtest.data.dataset import Dataset
from loadtest.data.samples import SampleSet, read_line
from loadtest.experiment.experiment import Experiment
from loadtest.judge.gate_checks import check_gates
from loadtest.judge.live_view import LiveJudge


def live_events(experiment: Experiment, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """An event of ``loadtest.judge.live_view`` after every analysis; lines that hold no samples are passed
    over.

    Raises:
        UsageError: the evaluation set, a gate, or a line cannot be used.
    """
    dataset = Dataset.read(experiment.data)
    check_gates(experiment, dataset)
    judge = LiveJudge(experiment, dataset)
    for line in lines:
        content = read_line(line)
        view = judge.feed(content) if isinstance(content, SampleSet) else None
        if view is not None:
            yield view.event()
