"""The baseline answers of a run: a random half of the rows is asked before the load, the others after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from time import perf_counter

import gevent

from loadtest.data.baseline import BaselineAnswers, Comparison, ScoredAnswer
from loadtest.data.dataset import Dataset
from loadtest.data.samples import SampleSet
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.load.baseline.asking import BaselineAsker, BaselineReach
from loadtest.load.baseline.first_rows import FIRST_ROWS
from loadtest.load.baseline.halves import Halves, halve, sent_until, without_repeats
from loadtest.load.baseline.late_answers import compare_late
from loadtest.load.protocols import Codec
from loadtest.load.sending.arrivals import draw
from loadtest.load.sending.target import client_of

AFTER_A_STOP = 12.0
"""The most seconds to ask for after a load that was ended early: somebody waits for the end."""
_LOOK_SECONDS = 5.0
"""How long at most rows are asked for that are only looked at."""
_TICK = 1.0

Show = Callable[[int, int], None]
"""Takes, about once a second, the rows answered or given up, and all, over all versions."""


class Baseline:
    """Asks all versions, each by itself, at the same time as the others.

    Where nobody wants baseline answers, and where ``[data] repeats`` forbids to send a row twice, the rows
    that are asked before the load are only looked at.

    ``host`` is the base URL that the load will go to, ``run`` names the run in request ids, and ``workers``
    is how many will send.

    Raises:
        DatasetError: rows must not be repeated, and there are too few.
    """

    def __init__(
        self,
        experiment: Experiment,
        dataset: Dataset,
        codecs: Mapping[Role, Codec],
        host: str,
        run: str,
        workers: int,
    ) -> None:
        self._experiment = experiment
        self._dataset = dataset
        self._codecs = codecs
        self._host = host
        self._run = run
        load, data = experiment.load, experiment.data
        # one version alone, or a canary, is measured because it may be bad
        self._check = load.traffic == "duet"
        self._only_looked_at = data.repeats == "forbid" or not load.baseline_time
        schedules = self._schedules = [
            draw(load, len(dataset), worker, workers, dataset.recorded) for worker in range(workers)
        ]
        if data.repeats == "forbid":
            self._rows = without_repeats(schedules, dataset, load.seed)
        elif load.baseline_time:
            self._rows = halve(schedules, dataset.request, load.seed)
        else:
            self._rows = Halves(list(range(min(len(dataset), FIRST_ROWS))), [])
        if not load.baseline_time:
            self._rows = self._rows._replace(after=[])
        self.answers: dict[Role, dict[int, str | ScoredAnswer | None]] = {}
        self.reach: dict[Role, BaselineReach] = {}
        self.looked_at: dict[Role, int] = {}
        """Requests per version that were only looked at."""

    def ask_before(self, is_wanted: Callable[[], bool], show: Show) -> BaselineAnswers:
        """Ask for the half before the load; what the recorders of the load compare with.

        Raises:
            UsageError: of the first rows a version fails most, or answers most with what is no label.
        """
        looking = self._only_looked_at
        if looking and not self._check:
            return {}
        seconds = _LOOK_SECONDS if looking else self._experiment.load.baseline_time / 2
        askers = self._askers(self._rows.before, check=self._check, phase="baseline")
        reach = self._ask(
            askers, seconds, is_wanted, (lambda _, __: None) if looking else show, again=not looking
        )
        for asker in askers.values():
            if asker.refused:
                raise asker.refused
        kept = {role: not looking and reach[role].steady for role in askers}
        self.answers = {
            role: asker.asked_rows if kept[role] else dict.fromkeys(asker.asked_rows)
            for role, asker in askers.items()
        }
        if looking:
            self.looked_at = {role: asker.asked for role, asker in askers.items()}
        else:
            rows = len(self._rows.before) + len(self._rows.after)
            self.reach = {
                role: each._replace(rows=rows, asked_before=each.asked) for role, each in reach.items()
            }
        return self.answers

    def ask_after(self, stopped_after: float | None, is_wanted: Callable[[], bool], show: Show) -> None:
        """Ask for the other half, of the versions that do not contradict themselves and still answer.

        Rows that were not sent ``stopped_after`` seconds after time zero are not asked for; None: the load
        was not ended early.
        """
        time = self._experiment.load.baseline_time
        seconds = time if self._only_looked_at else time / 2
        if stopped_after is not None:
            seconds = min(seconds, AFTER_A_STOP)
            sent = sent_until(self._schedules, stopped_after)
            self._rows = self._rows._replace(after=[row for row in self._rows.after if row in sent])
        unsteady = {role for role, reach in self.reach.items() if not reach.steady}
        askers = {
            role: asker
            for role, asker in self._askers(self._rows.after, check=False, phase="later").items()
            if role not in unsteady and self._rows.after
        }
        # of rows that only this phase asks for, some are asked twice
        reach = self._ask(askers, seconds, is_wanted, show, again=self._only_looked_at, gives_up=True)
        for role, each in reach.items():
            self.reach[role] = self.reach[role].then(each) if role in self.reach else each
            if each.steady:
                self.answers.setdefault(role, {}).update(askers[role].asked_rows)

    def compare(self, samples: SampleSet) -> SampleSet:
        """Samples of the run, held against both halves; when all were asked for."""
        return compare_late(samples, self._comparisons)

    @cached_property
    def _comparisons(self) -> dict[Role, Comparison]:
        return {role: Comparison(self._dataset, known) for role, known in self.answers.items()}

    def _askers(self, rows: list[int], *, check: bool, phase: str) -> dict[Role, BaselineAsker]:
        return {
            role: BaselineAsker(
                role,
                codec,
                self._dataset,
                rows,
                client_of(role, self._experiment, self._host, codec),
                self._run,
                check=check,
                phase=phase,
            )
            for role, codec in self._codecs.items()
        }

    def _ask(
        self,
        askers: Mapping[Role, BaselineAsker],
        seconds: float,
        is_wanted: Callable[[], bool],
        show: Show,
        *,
        again: bool,
        gives_up: bool = False,
    ) -> dict[Role, BaselineReach]:
        until = perf_counter() + seconds

        def go_on() -> bool:
            return is_wanted() and not any(asker.refused for asker in askers.values())

        greenlets = {
            role: gevent.spawn(asker.run, until, go_on, again=again, gives_up=gives_up)
            for role, asker in askers.items()
        }
        rows = len(self._rows.after if gives_up else self._rows.before)
        while not all(greenlet.ready() for greenlet in greenlets.values()):
            gevent.joinall(greenlets.values(), timeout=_TICK)
            show(sum(asker.asked for asker in askers.values()), rows * len(askers))
        return {role: greenlet.get() for role, greenlet in greenlets.items()}
