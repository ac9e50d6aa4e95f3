"""The files of a load: ``samples.parquet`` and ``load.json``, each whole or absent."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtest.config import Experiment
from loadtest.errors import UsageError
from loadtest.load.outcome import Outcome
from loadtest.sample import SampleSet

SAMPLES = "samples.parquet"
LOAD = "load.json"
EXPERIMENT = "experiment.toml"


def write(folder: Path, samples: SampleSet, outcome: Outcome) -> None:
    """Write both files; ``load.json`` comes last and says that all is there.

    Raises:
        UsageError: the folder cannot be written.
    """
    try:
        samples.write(folder / SAMPLES)
        partial = folder / f"{LOAD}.partial"
        partial.write_text(json.dumps(outcome.to_json(), indent=2, allow_nan=False) + "\n", encoding="utf-8")
        partial.replace(folder / LOAD)
    except OSError as error:
        raise UsageError(f"{folder}: cannot write the samples there ({error.strerror})") from error


def publish(results: Path, experiment: Experiment, samples: SampleSet, outcome: Outcome) -> Path:
    """Write a new run folder below ``results`` and point ``latest`` at it.

    Returns:
        The run folder.

    Raises:
        UsageError: the results folder cannot be written.
    """
    stamp = datetime.fromtimestamp(outcome.began_at, UTC).strftime("%Y%m%dT%H%M%SZ")
    name, serial = f"{stamp}-{experiment.name}", 1
    try:
        while (results / name).exists():
            serial += 1
            name = f"{stamp}-{experiment.name}-{serial}"
        partial = results / f".{name}.partial"
        partial.mkdir(parents=True, exist_ok=True)
        (partial / EXPERIMENT).write_text(experiment.to_toml(), encoding="utf-8")
        write(partial, samples, outcome)
        partial.rename(results / name)
        link = results / f".latest-{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(name)
        link.replace(results / "latest")
    except OSError as error:
        raise UsageError(
            f"{results}: cannot write the run there ({error.strerror}); set LOADPROOF_RESULTS"
        ) from error
    return results / name


def read_outcome(folder: Path) -> dict[str, Any] | None:
    """The content of ``load.json``; None where the load generator did not come to write it."""
    try:
        content: dict[str, Any] = json.loads((folder / LOAD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return content
