"""The files of a load: ``samples.parquet`` and ``load.json``, each whole or absent."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtest.data.run_folder import ENVIRONMENT, EXPERIMENT, LOAD, SAMPLES, RunFolder
from loadtest.data.samples import SampleSet
from loadtest.errors import UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.load.cluster.load_summary import Outcome


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


def publish(
    results: Path,
    experiment: Experiment,
    samples: SampleSet,
    outcome: Outcome,
    server_facts: Mapping[str, Mapping[str, Any]],
) -> Path:
    """Write a new run folder below ``results`` and point ``latest`` at it.

    Args:
        results: folder of the run folders.
        experiment: resolved.
        samples: of the whole run.
        outcome: what the generator says of it.
        server_facts: facts about each version's server; see ``loadtest.load.web.server_facts``.

    Returns:
        The run folder.

    Raises:
        UsageError: the results folder cannot be written.
    """
    folder = RunFolder(results, experiment.name, datetime.fromtimestamp(outcome.began_at, UTC))
    backend = os.environ.get("LOADPROOF_BACKEND", "local")
    with folder:
        folder.write(EXPERIMENT, experiment.to_toml())
        folder.write(ENVIRONMENT, {"backend": backend, "server_facts": server_facts})
        write(folder.path, samples, outcome)
        return folder.publish()


def read_outcome(folder: Path) -> dict[str, Any] | None:
    """The content of ``load.json``; None where the load generator did not come to write it."""
    try:
        content: dict[str, Any] = json.loads((folder / LOAD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return content
