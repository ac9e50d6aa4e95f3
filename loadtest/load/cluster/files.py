"""The files of a load: ``samples.parquet`` and ``load.json``, each whole or absent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtest.data.run_environment import describe
from loadtest.data.run_folder import ENVIRONMENT, EXPERIMENT, LOAD, SAMPLES, RunFolder
from loadtest.data.samples import SampleSet
from loadtest.errors import UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.load.cluster.load_summary import LoadSummary


def write(folder: Path, samples: SampleSet, summary: LoadSummary) -> None:
    """Write both files; ``load.json`` comes last and says that all is there.

    Raises:
        UsageError: the folder cannot be written.
    """
    try:
        samples.write(folder / SAMPLES)
        partial = folder / f"{LOAD}.partial"
        partial.write_text(json.dumps(summary.to_json(), indent=2, allow_nan=False) + "\n", encoding="utf-8")
        partial.replace(folder / LOAD)
    except OSError as error:
        raise UsageError(f"{folder}: cannot write the samples there ({error.strerror})") from error


def publish(
    results: Path, experiment: Experiment, samples: SampleSet, summary: LoadSummary, lab: dict[str, Any]
) -> Path:
    """Write a new run folder below ``results`` and point ``latest`` at it; the folder.

    ``lab`` is what is known of it for ``environment.json``, beside this machine and its software.

    Raises:
        UsageError: the results folder cannot be written.
    """
    folder = RunFolder(results, experiment.name, datetime.fromtimestamp(summary.began_at, UTC))
    with folder:
        folder.write(EXPERIMENT, experiment.to_toml())
        folder.write(ENVIRONMENT, describe(lab))
        write(folder.path, samples, summary)
        return folder.publish()
