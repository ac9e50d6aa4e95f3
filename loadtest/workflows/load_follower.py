"""Following a load generator: its figures, the live view of the gates, and an end once it is decided."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from loadtest.data.dataset import Dataset
from loadtest.data.samples import SampleSet, read_line
from loadtest.errors import ExitCode, LabError
from loadtest.experiment.experiment import Experiment
from loadtest.judge.live_view import LiveJudge, LiveView
from loadtest.lab.interface import Lab, LoadProcess

_END_SECONDS = 30.0


class Progress(Protocol):
    """Where a flow says what it does: a terminal, a log, or nothing."""

    def step(self, text: str) -> None:
        """A new step began."""

    def tick(self, event: dict[str, Any], view: LiveView | None) -> None:
        """The load generator reported (about once a second); ``view``: the gates as last analysed."""


def run_load(lab: Lab, job: Path, experiment: Experiment, dataset: Dataset, progress: Progress) -> None:
    """Put an experiment's load on a lab; ``samples.parquet`` and ``load.json`` then lie in the job folder.

    With ``until_decided`` the load ends as soon as an analysis of its samples decides the run.

    Args:
        lab: running.
        job: folder with ``experiment.toml``.
        experiment: the same, resolved.
        dataset: its evaluation set.
        progress: where live figures go.

    Raises:
        LabError: the lab or the load generator broke.
    """
    judge, view = LiveJudge(experiment, dataset), None
    decided = False
    process = lab.launch_load(job)
    lines = _Lines(process)
    try:
        for line in lines:
            content = read_line(line)
            if not isinstance(content, SampleSet):
                if content is not None:
                    progress.tick(content, view)
                lab.check()
            elif not decided:
                view = judge.feed(content) or view
                decided = experiment.load.until_decided and view is not None and view.decided
                if decided:
                    process.stop()
    finally:
        process.stop()
        lines.join(_END_SECONDS)
        code = process.wait()
    lab.check()
    ended_well = (ExitCode.PASS, ExitCode.INVALID, *([ExitCode.INTERRUPTED] if decided else []))
    if code not in ended_well:
        raise LabError(f"the load generator ended with code {code}")


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
