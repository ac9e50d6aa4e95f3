"""The live view as a process of its own: sample lines in, events out."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from loadtest.cli.live import live_events
from loadtest.cli.main import app
from loadtest.data.sample_lines import sample_line
from loadtest.errors import UsageError
from tests.loadtest.judge.test_judge import Arm, Run

RUN = Run(
    candidate=Arm(accuracy=0.6), seconds=20.0, arrivals=1_000, rows=1_000, gates=("accuracy >= stable - 1pp",)
)


@pytest.fixture
def experiment(tmp_path):
    labels = np.where(np.arange(RUN.rows) % 2, "1", "0")
    pq.write_table(pa.table({"a": np.arange(float(RUN.rows)), "label": labels}), tmp_path / "rows.parquet")
    whole = replace(RUN).experiment()
    data = whole.data.model_copy(update={"path": tmp_path / "rows.parquet", "value": None})
    return whole.model_copy(update={"data": data})


def lines() -> list[str]:
    samples = RUN.samples()
    told = [samples.where(samples.done_at.astype(int) == second) for second in range(20)]
    return [line for part in told for line in ('{"elapsed": 1.0}\n', sample_line(part.to_bytes()) + "\n")]


def test_events_follow_the_samples(experiment):
    events = list(live_events(experiment, lines()))
    assert [event["elapsed"] for event in events] == [float(second) for second in range(1, len(events) + 1)]
    assert events[-1]["gates"][0]["verdict"] == "FAIL"


def test_a_line_that_cannot_be_read_ends_it(experiment):
    with pytest.raises(UsageError):
        list(live_events(experiment, [*lines()[:4], '{"samples": "?"}\n']))


def test_the_command_reads_lines_and_writes_lines(experiment, tmp_path):
    (tmp_path / "mine.toml").write_text(experiment.to_toml())
    command = [sys.executable, "-m", "loadtest", "live", "--experiment", str(tmp_path / "mine.toml")]
    told = "".join(lines())
    done = CliRunner().invoke(app, command[3:], input=told)
    assert done.exit_code == 0, done.output
    written = [json.loads(line) for line in done.stdout.splitlines()]
    assert written == list(live_events(experiment, lines()))
    # as a process, whose last line is none: what was seen until then is written all the same
    bad = subprocess.run(
        command, input=told + '{"samples": 1}\n', capture_output=True, text=True, check=False
    )
    assert bad.stdout == done.stdout
    assert bad.returncode == 2
    assert "a line of the load generator cannot be read" in bad.stderr
