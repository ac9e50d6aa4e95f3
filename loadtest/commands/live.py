"""``loadproof live``: sample lines in, the state of every gate out."""

from __future__ import annotations

import json
import sys

from loadtest.commands.options import ExperimentName
from loadtest.config import Experiment
from loadtest.flows.live import live_events


def live(
    experiment: ExperimentName = "compare",
) -> None:
    """Read the lines of a load generator (--stream) on standard input; write the gates after every look.

    Each line written is one JSON object, described in loadtest/judge/live.py.
    """
    for event in live_events(Experiment.load_file(experiment), sys.stdin):
        print(json.dumps(event, allow_nan=False), flush=True)
