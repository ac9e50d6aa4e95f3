"""The judge beside Locust's process: what goes wrong with it costs the live view only."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import gevent
import pytest

from loadtest.experiment.experiment import Experiment
from loadtest.load.live.gate_view import LiveGates
from tests.loadtest.made_samples import Sample, sample_set
from tests.waiting import HUNG, eventually

ROOT = Path(__file__).parents[4]
EXPERIMENT = Experiment.load_file("compare")
SAMPLES = sample_set([Sample(0, "stable", 0.0, 0.0, 0.1, 200, None, "1", True, None, 0)]).to_bytes()

ECHO = """
import json, sys
from loadtest.experiment.experiment import Experiment
from loadtest.data.sample_lines import read_line
name = Experiment.load_file(sys.argv[1]).name
seen = sum(len(read_line(line)) for line in sys.stdin)
print(json.dumps({"gates": [{"name": name, "seen": seen}]}), flush=True)
"""


LOCUST = f"""
import json, sys
from tests.loadtest.load.live.test_gate_view import ECHO, EXPERIMENT, SAMPLES, LiveGates
seen = []
gates = LiveGates(EXPERIMENT, seen.append, (sys.executable, "-c", ECHO), {HUNG})
for _ in range(3):
    gates.add(SAMPLES)
gates.close()
print(json.dumps(seen))
"""


def test_samples_go_in_and_gates_come_out():
    # in a process of its own, as Locust is: whatever other tests started in this one may hold a pipe open
    done = subprocess.run(
        [sys.executable, "-c", LOCUST],
        capture_output=True,
        text=True,
        timeout=2 * HUNG,
        check=False,
        cwd=ROOT,
    )
    assert (done.stdout, done.stderr) == ('[[{"name": "compare", "seen": 3}]]\n', "")


@pytest.mark.parametrize(
    ("command", "warnings"),
    [
        (("/no/such/program",), 1),
        # ends at once, while samples still come
        ((sys.executable, "-c", "pass"), 0),
        # the same, and not well
        ((sys.executable, "-c", "raise SystemExit(2)"), 1),
        # says something that is no event
        ((sys.executable, "-c", "print('nonsense')"), 1),
    ],
)
def test_a_judge_that_fails_harms_nothing(command, warnings, caplog, capfd):
    seen = []
    with caplog.at_level(logging.WARNING):
        gates = LiveGates(EXPERIMENT, seen.append, command, HUNG)
        for _ in range(500):  # more than would be kept
            gates.add(SAMPLES)
        gates.close()
    assert seen == []
    assert json.dumps(caplog.messages).count("not seen live any more") == warnings


@pytest.mark.parametrize(
    ("program", "patience", "said"),
    [
        # well, but the run goes on
        ("pass", HUNG, "ended before the run"),
        # never: a close waits for its patience only
        ("import time; time.sleep(600)", 0.1, "did not end within 0.1 s"),
    ],
)
def test_a_view_that_is_gone_says_so(program, patience, said, caplog):
    gates = LiveGates(EXPERIMENT, [].append, (sys.executable, "-c", program), patience)
    if patience == HUNG:
        eventually(lambda: gevent.sleep(0.01) or caplog.messages)
    gates.close()
    assert [said in message for message in caplog.messages] == [True]
