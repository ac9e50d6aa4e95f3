"""Following a load generator: its figures, the live view of the gates, and an end once it is decided."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from loadtest.data.dataset import Dataset
from loadtest.data.sample_lines import read_line
from loadtest.data.samples import SampleSet
from loadtest.errors import ExitCode, LabError, ServiceDied
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.judge.live_view import LiveJudge, LiveView
from loadtest.lab.interface import Lab, LoadProcess

_END_SECONDS = 30.0


class Progress(Protocol):
    """Where a flow says what it does: a terminal, a log, or nothing."""

    def step(self, text: str) -> None:
        """A new step began."""

    def tick(self, event: dict[str, Any], view: LiveView | None) -> None:
        """The load generator reported (about once a second); ``view``: the gates as last analysed."""


def run_load(lab: Lab, job: Path, experiment: Experiment, dataset: Dataset, progress: Progress) -> str | None:
    """Put an experiment's load on a lab; ``samples.parquet`` and ``load.json`` then lie in the job folder.

    With ``until_decided`` the load ends as soon as an analysis of its samples decides the run, or shows that
    more load would not. It ends, too, when the candidate dies: what was measured until then is the evidence.

    The job folder has ``experiment.toml``, which is ``experiment``, resolved.

    Returns:
        How the candidate died under load while stable was well; None: it did not.

    Raises:
        LabError: the lab or the load generator broke.
    """
    judge, view = LiveJudge(experiment, dataset), None
    decided = measured = False
    died = None
    process = lab.launch_load(job)
    lines = _Lines(process)
    try:
        for line in lines:
            content = read_line(line, lists=experiment.follows_lists)
            if not isinstance(content, SampleSet):
                if content is not None:
                    progress.tick(content, view)
                died = died or _death(lab, measured=measured)
                if died:
                    process.stop()
            elif not decided:
                measured = measured or len(content) > 0
                view = judge.feed(content) or view
                decided = experiment.load.until_decided and view is not None and view.over
                if decided:
                    process.stop()
    finally:
        process.stop()
        lines.join(_END_SECONDS)
        code = process.wait()
    died = died or _death(lab, measured=measured)
    ended_well = (ExitCode.PASS, ExitCode.INVALID, *([ExitCode.INTERRUPTED] if decided or died else []))
    if code not in ended_well:
        raise LabError(f"the load generator ended with code {code}")
    return died


def _death(lab: Lab, *, measured: bool) -> str | None:
    """How the candidate died, where that is the only thing wrong; any other trouble of the lab is raised."""
    try:
        lab.check()
    except ServiceDied as death:
        if death.service != Role.CANDIDATE or not measured or Role.STABLE in lab.ended():
            raise
        return str(death)
    return None


class _Lines(threading.Thread):
    """Reads a load generator's lines as fast as they come, so that no slow analysis holds the load up."""

    def __init__(self, process: LoadProcess) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._read: SimpleQueue[str | BaseException | None] = SimpleQueue()
        self.start()

    def run(self) -> None:
        try:
            for line in self._process.lines():
                self._read.put(line)
            self._read.put(None)
        except BaseException as error:
            self._read.put(error)

    def __iter__(self) -> Iterator[str]:
        while (line := self._read.get()) is not None:
            if isinstance(line, BaseException):
                raise line
            yield line
