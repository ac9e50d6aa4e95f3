"""``loadproof live``: sample lines in, the state of every gate out."""

from __future__ import annotations

import json
import sys

from loadtest.cli.options import ExperimentName
from loadtest.experiment.experiment import Experiment
from loadtest.workflows.live_events import live_events


def live(
    experiment: ExperimentName = "compare",
) -> None:
    """Read the lines of a load generator (--stream) on standard input; write the gates after every analysis.

    Each line written is one JSON object, described in loadtest/judge/live_view.py.
    """
    for event in live_events(Experiment.load_file(experiment), sys.stdin):
        print(json.dumps(event, allow_nan=False), flush=True)
