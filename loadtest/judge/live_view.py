"""Following a run while it lasts: samples go in as they come, the state of every gate comes out.

An answer that takes long comes late, so an analysis of whatever has come would miss just the slow ones. An
analysis therefore sees only the arrivals of a time that is closed: whose every request has been answered or
has timed out, as the samples that came since then prove. There is no clock here, and a stored run's samples
give the same analyses as its live ones.

The event that pages and terminals show, one JSON object::

    {"elapsed": 42.0,              seconds of load that the analysis saw
     "decided": false,             the verdict would not change any more
     "gates": [{"name": "p95 <= stable + 10%",
                "verdict": "open",             or PASS or FAIL
                "estimate": 3.1,               in ``unit``; null where nothing is known yet
                "interval": [-1.9, 8.4],       holds at all analyses; an end is null where unbounded
                "margin": 10.0, "unit": "%",
                "reason": "the true value may be ..."}]}
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadtest.data.dataset import Dataset
from loadtest.data.samples import SampleSet
from loadtest.experiment.experiment import Experiment
from loadtest.judge.interim import InterimAnalyses, analysis_times
from loadtest.judge.layout import is_paired, lay_out
from loadtest.judge.paired_outcomes import Evidence
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.saturation import hopeless
from loadtest.judge.verdict import GateResult, Word

_SHOWN = {"gate", "verdict", "estimate", "interval", "margin", "unit", "reason"}
_SLACK = 0.5
"""Seconds beyond the time-out and the generator's greatest lag after which no answer can come any more."""


@dataclass(frozen=True)
class LiveView:
    """What an analysis saw: see the event in the module's docstring."""

    elapsed: float
    decided: bool
    gates: tuple[GateResult, ...]
    saturated: str | None = None

    @property
    def over(self) -> bool:
        """More load would change nothing: all is decided, or a version does not keep up with the rate."""
        return self.decided or self.saturated is not None

    def event(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "elapsed": self.elapsed,
            "decided": self.decided,
            **({"saturated": self.saturated} if self.saturated else {}),
            "gates": [
                gate.model_dump(mode="json", include=_SHOWN)
                | ({"verdict": "open"} if gate.verdict is Word.INCONCLUSIVE else {})
                for gate in self.gates
            ],
        }


class LiveJudge:
    """Follows one run: ``view = judge.feed(samples)`` for every batch, in the order in which they come."""

    def __init__(self, experiment: Experiment, dataset: Dataset) -> None:
        self._experiment, self._dataset = experiment, dataset
        load = self._load = experiment.load
        self._final = load.until_decided
        self._analyses = InterimAnalyses(experiment, final=self._final)
        # what an analysis knows of the lab: nothing, until the run is over
        self._facts = RunFacts(
            backend="local",
            load=LoadFacts(offered_rps=load.rate, achieved_rps=load.rate, duration_s=load.duration),
        )
        self._times = analysis_times()
        self._next = next(self._times)
        self._start: float | None = None
        self._waiting = SampleSet.empty()
        self._reached: dict[int, float] = {}
        self._closed = -math.inf
        self._stable, self._candidate = lay_out(load, self._waiting, 0.0)

    def feed(self, samples: SampleSet) -> LiveView | None:
        """Take in samples; what an analysis saw, where they close the time of one."""
        if not len(samples) or int(samples.row.max()) >= len(self._dataset):
            return None
        self._waiting = SampleSet.concat([self._waiting, samples])
        worker = np.asarray(samples.table["worker"].to_numpy())
        for index in np.unique(worker).tolist():
            reached = float(samples.done_at[worker == index].max())
            self._reached[index] = max(reached, self._reached.get(index, reached))
        closed = min(self._reached.values()) - self._load.timeout - self._load.max_lag - _SLACK
        # until something was closed an earlier arrival may still come
        start = float(self._waiting.scheduled_at.min()) if self._start is None else self._start
        due = []
        while start + self._next <= closed:
            due.append(self._next)
            self._next = next(self._times)
        if not due:
            return None
        self._take(start, closed)
        # a run that is judged by its analyses needs each; a view only the last
        for seconds in due if self._final else due[-1:]:
            evidence = Evidence(self._stable, self._candidate, is_paired(self._load), 0, seconds)
            run = Run(self._experiment, self._dataset, self._facts, evidence)
            self._analyses.analyse(run.until(seconds))
            if self._final and self._analyses.decided:
                break
        judged = self._analyses.judged
        saturated = hopeless(judged, run) if self._final and not self._analyses.decided else None
        return LiveView(seconds, self._analyses.decided, tuple(j.result for j in judged), saturated)

    def _take(self, start: float, closed: float) -> None:
        """Lay out what was scheduled before ``closed``; ``start`` is when the first arrival was."""
        at = self._waiting.scheduled_at
        # what came later than any answer can is left to the verdict, which sees all samples
        ready = (at < closed) & (at >= self._closed)
        stable, candidate = lay_out(self._load, self._waiting.where(ready), start)
        self._stable, self._candidate = self._stable.then(stable), self._candidate.then(candidate)
        self._waiting = self._waiting.where(at >= closed)
        self._start, self._closed = start, closed
