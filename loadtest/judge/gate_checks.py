"""What can be said of an experiment's gates before any load: do they fit this evaluation set?"""

from __future__ import annotations

import numpy as np

from loadtest.data.dataset import Dataset
from loadtest.errors import GateError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.judge.metric_tests import rows_of_slice
from loadtest.judge.paired_outcomes import NoEvidence
from loadtest.judge.quality_tests import positive_class


def check_gates(experiment: Experiment, dataset: Dataset) -> None:
    """Refuse gates that these rows can never decide.

    Raises:
        GateError: a gate names a column or value that is not there, or a metric of the other task.
    """
    regression = experiment.data.task == "regression"
    for gate in experiment.gates:
        problem = None
        if gate.metric == "capacity":
            problem = "one load says nothing of the capacity; use loadproof capacity --gate"
        elif regression and gate.kind in ("quality", "amount", "odds", "odds_against"):
            problem = f"{gate.metric} is for classifications; a regression has mae, rmse and r2"
        elif not regression and gate.kind in ("loss", "r2"):
            problem = f"{gate.metric} is for regressions; set [data] task = 'regression', or gate accuracy"
        elif gate.kind == "count" and not experiment.load.baseline_time:
            problem = "it needs the answers without load; give [load] baseline more than 0"
        elif gate.metric == "value" and dataset.values is None:
            problem = "the experiment names no value column; set [data] value"
        elif gate.metric == "value" and dataset.values is not None and not np.isfinite(dataset.values).all():
            problem = f"the value column has empty cells; fill them in {dataset.path}"
        elif gate.column is not None and gate.column not in dataset.columns.column_names:
            names = ", ".join(dataset.columns.column_names)
            problem = f"the evaluation set has no column {gate.column!r}; it has {names}"
        elif gate.column is not None and not rows_of_slice(gate, dataset).any():
            seen = sorted({str(v) for v in dataset.columns[gate.column].unique().to_pylist()})
            problem = f"no row has {gate.column}={gate.value}; there are {', '.join(seen[:8])}"
        elif not regression:
            problem = _no_positive_class(gate, dataset)
        if problem:
            raise GateError(f"gate {gate.expression!r}: {problem}")


def _no_positive_class(gate: Gate, dataset: Dataset) -> str | None:
    try:
        positive_class(gate, np.unique(np.asarray(dataset.labels, dtype=str)))
    except NoEvidence as reason:
        return str(reason)
    return None
