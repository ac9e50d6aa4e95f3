"""The live view of the gates from a load generator's lines, for a process of its own beside a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from loadtest.config import Experiment
from loadtest.dataset import Dataset
from loadtest.judge.live import LiveJudge
from loadtest.judge.preflight import check_gates
from loadtest.sample import SampleSet
from loadtest.sample_lines import read_line


def live_events(experiment: Experiment, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """An event of ``loadtest.judge.live`` after every look; lines that hold no samples are passed over.

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
