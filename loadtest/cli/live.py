"""``loadproof live``, the pipe behind Locust's page: sample lines in, the state of every gate out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from loadtest.cli.options import ExperimentName
from loadtest.data.dataset import Dataset
from loadtest.data.sample_lines import read_line
from loadtest.data.samples import SampleSet
from loadtest.experiment.experiment import Experiment
from loadtest.judge.gate_checks import check_gates
from loadtest.judge.live_view import LiveJudge


def live(
    experiment: ExperimentName = "compare",
) -> None:
    """Read the lines of a load generator (--stream) on standard input; write the gates after every analysis.

    Each line written is one JSON object, described in loadtest/judge/live_view.py.
    """
    for event in live_events(Experiment.load_file(experiment), sys.stdin):
        print(json.dumps(event, allow_nan=False), flush=True)


def live_events(experiment: Experiment, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """An event of ``loadtest.judge.live_view`` after every analysis; other lines are passed over.

    Raises:
        UsageError: the evaluation set, a gate, or a line cannot be used.
    """
    dataset = Dataset.read(experiment.data)
    check_gates(experiment, dataset)
    judge = LiveJudge(experiment, dataset)
    for line in lines:
        content = read_line(line, lists=experiment.follows_lists)
        view = judge.feed(content) if isinstance(content, SampleSet) else None
        if view is not None:
            yield view.event()
