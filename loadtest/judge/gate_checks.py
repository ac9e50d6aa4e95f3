"""What can be said of an experiment's gates before any load: do they fit this evaluation set?"""

from __future__ import annotations

import numpy as np

from loadtest.data.dataset import Dataset
from loadtest.errors import GateError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.experiment.metrics import QUALITY
from loadtest.judge.metric_tests import TESTS
from loadtest.judge.paired_outcomes import NoEvidence
from loadtest.judge.quality_tests import positive_class
from loadtest.judge.run import rows_of_slice


def check_gates(experiment: Experiment, dataset: Dataset | None) -> None:
    """Refuse gates that these rows can never decide; without rows yet, those that no row could.

    Raises:
        GateError: a gate names a column or value that is not there, or a metric of the other task.
    """
    for gate in experiment.gates:
        problem = None
        if gate.entry.test not in TESTS:
            problem = f"one load says nothing of the {gate.metric}; use loadproof capacity --gate"
        elif gate.entry.task not in (None, experiment.data.task):
            task, fits = gate.entry.task, QUALITY[experiment.data.task]
            problem = f"{gate.metric} is for {task}s; set [data] task = {task!r}, or gate {fits}"
        elif missing := [
            why for need in gate.entry.needs if (why := _lacks(need, gate, experiment, dataset))
        ]:
            problem = missing[0]
        elif dataset is None or gate.column is None:
            pass
        elif gate.column not in dataset.columns.column_names:
            names = ", ".join(dataset.columns.column_names)
            problem = f"the evaluation set has no column {gate.column!r}; it has {names}"
        elif not rows_of_slice(gate, dataset).any():
            seen = sorted({str(v) for v in dataset.columns[gate.column].unique().to_pylist()})
            problem = f"no row has {gate.column}={gate.value}; there are {', '.join(seen[:8])}"
        if problem:
            raise GateError(f"gate {gate.expression!r}: {problem}")


def _lacks(need: str, gate: Gate, experiment: Experiment, dataset: Dataset | None) -> str | None:
    """Why there is no such input of a metric (see ``Metric.needs``); None: there is."""
    if need == "baseline" and not experiment.load.baseline_time:
        return "it needs baseline answers; set [load] baseline above 0"
    if need == "value" and experiment.data.value is None:
        return "the experiment names no value column; set [data] value"
    if dataset is None:
        return None
    if need == "value" and dataset.values is not None and not np.isfinite(dataset.values).all():
        return f"the value column has empty cells; fill them in {dataset.path}"
    if need == "positive class":
        try:
            positive_class(gate, np.unique(np.asarray(dataset.labels, dtype=str)))
        except NoEvidence as reason:
            return str(reason)
    return None
