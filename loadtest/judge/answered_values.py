"""The numbers that a gate on a regression is about: true values and answers, of an output or the answer."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtest.data.dataset import Dataset
from loadtest.data.sample_cells import as_floats
from loadtest.experiment.gate import Gate
from loadtest.judge.outcomes import Floats, Outcomes
from loadtest.judge.paired_outcomes import NoEvidence
from loadtest.judge.run import Run


def truth_of(gate: Gate, dataset: Dataset) -> Floats:
    """The true values that the gate holds answers against, shape (rows of the evaluation set,)."""
    return np.asarray(dataset.truths[gate.outputs[0]] if gate.outputs else dataset.labels, np.float64)


def answers_of(gate: Gate, run: Run, outcomes: Outcomes) -> Floats:
    """The numbers that were answered, shape (arrivals,); NaN where none was.

    Raises:
        NoEvidence: an answer is no number, or the samples do not have the gate's output.
    """
    if gate.outputs:
        return output_of(gate.outputs[0], run, outcomes)
    try:
        return as_floats(outcomes.prediction)
    except pa.ArrowInvalid as error:
        raise NoEvidence(f"a prediction is no number ({error})") from error


def output_of(name: str, run: Run, outcomes: Outcomes) -> Floats:
    """The values of one output, shape (arrivals,); NaN where there is none.

    Raises:
        NoEvidence: the samples do not have it.
    """
    named, lists = list(run.experiment.data.outputs), outcomes.outputs
    found = np.full(len(outcomes), np.nan)
    there = np.asarray(pc.is_valid(lists))
    if name not in named or not (there.any() or outcomes.failed.all()):
        raise NoEvidence(f"the samples have no output {name!r}; measure again with it under [data.outputs]")
    found[there] = np.asarray(pc.list_flatten(lists)).reshape(-1, len(named))[:, named.index(name)]
    return found
