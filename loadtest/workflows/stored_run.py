"""Stored runs: opened, judged again, and every file that a verdict becomes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from loadtest import __version__
from loadtest.data.cut_off_run import is_cut_off, read_cut_off_run
from loadtest.data.dataset import Dataset
from loadtest.data.run_folder import ENVIRONMENT, EXPERIMENT, LOAD, SAMPLES, VERDICT, find_run, write_file
from loadtest.data.samples import SampleSet
from loadtest.errors import DatasetError, LoadproofError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.judge.judge import judge
from loadtest.judge.run import Run, RunFacts
from loadtest.judge.verdict import SliceSearch, Verdict
from loadtest.judge.worse_slices import search_slices
from loadtest.report.html import to_html
from loadtest.report.machine_formats import to_json, to_junit, to_markdown

_DAMAGED = "the run folder is damaged: take the file from a copy of the run"


def open_run(run: str | Path) -> Run:
    """Read a run folder, such as ``results/latest``.

    Raises:
        UsageError: it is no run folder, or its evaluation set is gone.
        DatasetError: the evaluation set has changed, or the samples do not belong to it.
    """
    folder = find_run(Path(run))
    try:
        experiment = Experiment.load_file(str(folder / EXPERIMENT))
    except UsageError as error:
        made_by = read_environment(folder).get("loadproof", __version__)
        if made_by == __version__:
            raise
        raise UsageError(
            f"{error}; the run is of Loadproof {made_by}, and this is {__version__}: judge it with that one"
        ) from None
    data = experiment.data
    data = data.model_copy(update={"path": _evaluation_set(folder, data.path)})
    return gather_run(folder, experiment, Dataset.read(data))


def _evaluation_set(folder: Path, named: Path) -> Path:
    """The file that was measured: where the run names it, or copied to the run, as from another machine."""
    results = folder.parents[1 if folder.name.startswith("rate-") else 0]
    there = [path for path in (named, folder / named.name, results / named.name) if path.is_file()]
    copy = results / named.name
    if not there:
        raise UsageError(f"{named}: the run's evaluation set is not on this machine; copy it to {copy}")
    measured = _read_json(folder / LOAD).get("evaluation_sha256") if (folder / LOAD).exists() else None
    for path in there:
        if measured in (None, sha256(path.read_bytes()).hexdigest()):
            return path
    raise DatasetError(f"{there[0]}: not the run's evaluation set (another SHA-256); copy that one to {copy}")


def gather_run(folder: Path, experiment: Experiment, dataset: Dataset) -> Run:
    """The run whose samples and facts lie in ``folder``.

    Raises:
        UsageError: a file is damaged.
        DatasetError: the samples do not belong to the evaluation set.
    """
    environment = read_environment(folder)
    samples, load = _measured(folder, experiment.load.duration)
    if not environment and load.get("ended") == "stopped":
        load = {"cut_off": f"{load['duration_s']:.1f} s were measured before the run was ended"} | load
    facts = RunFacts.model_validate(
        {
            "backend": environment.get("backend", "local"),
            "load": load,
            "versions": environment.get("server_facts", {}),
        }
    )
    _check_digest(folder, samples)
    return Run.gather(experiment, dataset, samples, facts)


def _measured(folder: Path, duration: float) -> tuple[SampleSet, dict[str, Any]]:
    """The samples of a run and the facts of its load, of which ``duration`` seconds were asked."""
    if is_cut_off(folder):
        return read_cut_off_run(folder, duration)
    return SampleSet.read(folder / SAMPLES), _read_json(folder / LOAD)


def _check_digest(folder: Path, samples: SampleSet) -> None:
    """Refuse other samples than those that the verdict beside them was computed from."""
    try:
        judged = json.loads((folder / VERDICT).read_text(encoding="utf-8")).get("samples_sha256")
    except (OSError, ValueError, AttributeError):
        return  # none, or a damaged one, which judging again replaces
    if judged not in (None, samples.digest):
        raise UsageError(
            f"{folder}: not the samples that {VERDICT} was computed from; take them from a copy of "
            f"the run, or remove {VERDICT} to judge these"
        )


def judge_run(run: Run, gates: Sequence[str] = ()) -> Verdict:
    """Compute the verdict of a run from its samples, and where the candidate is worse.

    ``gates`` replace the experiment's own.

    Raises:
        GateError: a gate does not parse, or does not fit the evaluation set.
    """
    run = run.under(gates) if gates else run
    verdict = judge(run)
    return verdict.model_copy(update={"worse_slices": _worse_slices(run)})


def _worse_slices(run: Run) -> SliceSearch:
    try:
        return search_slices(run)
    except Exception as error:  # what is only shown cannot lose what was judged
        reason = " ".join(str(error).split())[:200]
        return SliceSearch(skipped=f"it failed ({type(error).__name__}: {reason})")


def read_environment(folder: Path) -> dict[str, Any]:
    """What is known of the machine and the lab; empty where nothing was written.

    Raises:
        UsageError: the file is damaged.
    """
    return _read_json(folder / ENVIRONMENT) if (folder / ENVIRONMENT).exists() else {}


def write_reports(folder: Path, run: Run, verdict: Verdict) -> None:
    """Write verdict.json, junit.xml, summary.md and report.html of one run.

    Raises:
        LoadproofError: one cannot be written; a note of it says the verdict.
    """
    try:
        write_file(folder, VERDICT, to_json(verdict))
        write_file(folder, "junit.xml", to_junit(verdict))
        write_file(folder, "summary.md", to_markdown(verdict, run.experiment))
        write_file(folder, "report.html", to_html(verdict, run, read_environment(folder)))
    except LoadproofError as error:
        error.add_note(f"the verdict was {verdict.verdict}: {verdict.reason}")
        raise


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path}: not readable ({why}); {_DAMAGED}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path}: not a JSON object; {_DAMAGED}")
    return content
