"""Looking again and again: a run that ends as soon as its verdict is certain, and the live view of any run.

Each analysis sees the run from its beginning to a moment and takes every gate's interval at a level that
holds at all analyses together (``loadtest.judge.significance``). What is claimed, with alpha = 1 -
confidence:

* a gate that does not meet its margin is ever called PASS with a chance of at most alpha; one that meets it
  is ever called FAIL with at most alpha; so a run is PASS when every gate is, at whatever moment each was;
* the run is FAIL when Holm's correction still refutes a gate by the smallest of its p-values so far, each of
  which holds at every moment: over all gates and all analyses, a false FAIL has a chance of at most alpha.

For paired answers without errors this is exact; for latency, rates, errors and other metrics it is asymptotic
in blocks of time or in rows, and they have no say before ``FIRST_ANALYSIS``. ``mismatches`` is counted: one
analysis may FAIL it, only the end can PASS it. Memory and CPU throttling are read at the end, and metrics of
scores judged there, which is why a run with such gates cannot end before; ``hit@k`` and ``value@k`` are not.
The moments of the analyses depend on nothing but the load's length, so a stored run is judged again to the
same verdict.
"""

from __future__ import annotations

from collections.abc import Iterator

from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.experiment.metrics import Interim
from loadtest.judge.gate_test import Judged, decide, unmeasured
from loadtest.judge.run import Run
from loadtest.judge.run_verdict import together
from loadtest.judge.significance import Level
from loadtest.judge.verdict import Word

_EVERY, _GROWTH = 1.0, 0.01

_AT_THE_END = {"read": "read at the end of the run", "scored": "judged at the end of the run"}
"""What has no interim analysis, and what the live view says of it."""
_COUNTED_SO_FAR = {
    "verdict": Word.INCONCLUSIVE,
    "reason": "within the bound so far; only the end of the run can pass it",
}


def analysis_times() -> Iterator[float]:
    """The moments of the analyses: every second, and from 100 s on after each hundredth more of load."""
    seconds = _EVERY
    while True:
        yield seconds
        seconds += max(_EVERY, _GROWTH * seconds)


def awaited(gate: Gate) -> bool:
    """Whether a run that ends as soon as it is decided waits for this gate to PASS."""
    return gate.interim in ("estimated", "bets")


class InterimAnalyses:
    """The state of every gate while the evidence grows.

    ``final``: a gate that was once PASS or FAIL stays so. Not so in a run that will be judged at its end: its
    view follows what the evidence says now.
    """

    def __init__(self, experiment: Experiment, *, final: bool) -> None:
        self._experiment, self._final = experiment, final
        self.alpha = 1 - experiment.confidence
        self.judged = [
            unmeasured(
                gate,
                experiment.confidence,
                _AT_THE_END.get(self._interim(gate), "no analysis yet"),
            )
            for gate in experiment.gates
        ]

    def _interim(self, gate: Gate) -> Interim:
        # a run that goes on to its end anyway is followed without the lists of its answers
        return "scored" if gate.reads_lists and not self._final else gate.interim

    def analyse(self, run: Run) -> None:
        """Analyse the evidence so far; it must begin where that of the last analysis began."""
        level = Level(self.alpha, run.evidence.duration)
        for place, gate in enumerate(self._experiment.gates):
            before = self.judged[place]
            passed = self._final and awaited(gate) and before.result.verdict is Word.PASS
            if passed or self._interim(gate) in _AT_THE_END:
                continue
            now = decide(gate, run, level)
            if gate.interim == "counted" and now.result.verdict is Word.PASS:
                now = now._replace(result=now.result.model_copy(update=_COUNTED_SO_FAR))
            if not self._final or before.result.verdict is not Word.FAIL:
                self.judged[place] = now._replace(p_harm=min(before.p_harm, now.p_harm))
            elif now.p_harm < before.p_harm:
                self.judged[place] = now

    def conclude(self, run: Run) -> None:
        """Judge what only the end of the run can tell, from all of the evidence."""
        level = Level(self.alpha)
        for place, gate in enumerate(self._experiment.gates):
            if not awaited(gate):
                self.judged[place] = decide(gate, run, level)

    @property
    def decided(self) -> bool:
        """More load would change nothing: a gate is proven to FAIL, or every one that can be is PASS."""
        if together(self.judged, self.alpha)[0] is Word.FAIL:
            return True
        words = [
            judged.result.verdict
            for gate, judged in zip(self._experiment.gates, self.judged, strict=True)
            if awaited(gate)
        ]
        return bool(words) and all(word is Word.PASS for word in words)


def judge_until_decided(run: Run) -> tuple[list[Judged], float | None]:
    """Judge a run by its analyses.

    Returns:
        Each gate's decision, and the seconds of load after which all was decided; None: it never was.
    """
    analyses = InterimAnalyses(run.experiment, final=True)
    decided_after = None
    for seconds in analysis_times():
        if seconds > run.evidence.duration:
            break
        analyses.analyse(run.until(seconds))
        if analyses.decided:
            decided_after = seconds
            break
    analyses.conclude(run)
    return analyses.judged, decided_after
