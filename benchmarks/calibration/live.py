"""Live A/A: the same version as stable, as candidate and as control, on the local lab of this machine."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.calibration.whole_runs import STRICT
from loadtest.errors import ExitCode
from loadtest.judge.verdict import Word
from loadtest.workflows.stored_run import judge_run, open_run

DURATION = 30


def measure(number: int) -> dict[str, Any]:
    """One run of the default experiment, whose samples are also judged by gates without any margin.

    Args:
        number: seed of the run, so that no two send the same arrivals and rows.

    Raises:
        RuntimeError: the lab broke; carries what the command said.
    """
    with tempfile.TemporaryDirectory(prefix="loadproof-live-") as results:
        command = [
            *(sys.executable, "-m", "loadtest", "compare", "--backend", "local", "--results", results),
            *(
                "--control",
                "--stable",
                "v1",
                "--candidate",
                "v1",
                "--duration",
                f"{DURATION}s",
                "--seed",
                str(number),
            ),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode not in [ExitCode[word.name] for word in Word]:
            raise RuntimeError(done.stdout + done.stderr)
        stored = open_run(Path(results, "latest"))
        default, strict = judge_run(stored), judge_run(stored, STRICT)
        return {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "seed": number,
            "verdict": default.verdict.value,
            "reason": default.reason,
            "strict": strict.verdict.value,
            "strict_gates_failed": [g.name for g in strict.gates if g.verdict is Word.FAIL],
        }
