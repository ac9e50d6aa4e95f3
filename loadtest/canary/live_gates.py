"""The gates that can be followed in live traffic; the others are refused before anything starts."""

from __future__ import annotations

from contract.shadow import ALONG, MOST_ITEMS
from loadtest.data.dataset import Dataset
from loadtest.errors import ExperimentError, GateError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.experiment.metrics import METRICS


def check(experiment: Experiment) -> None:
    """See that every gate can be followed in live traffic, before anything starts.

    Raises:
        ExperimentError: a threshold makes the labels, which the versions' own counters know nothing of.
        GateError: one cannot; the message says what can.
    """
    if experiment.data.threshold is not None:
        raise ExperimentError(
            "a canary goes by the labels that the versions answer; leave out [data] threshold, and let them "
            "answer by it"
        )
    for gate in (*experiment.gates, *experiment.canary.rollback):
        if problem := _problem(gate, experiment):
            raise GateError(f"gate {str(gate)!r}: {problem}")
    for gate in experiment.gates:
        if gate.quantile is None and gate.against == "stable" and not gate.bound:
            raise GateError(
                f"gate {str(gate)!r}: equality can never be shown; leave a margin, as in "
                f"'{gate} {'-' if gate.higher_is_better else '+'} 1pp', or move it to [canary] rollback"
            )


def shadow_gates(experiment: Experiment) -> list[Gate]:
    """The gates that compare the answers to the same requests, which only the shadow has."""
    return [g for g in (*experiment.gates, *experiment.canary.rollback) if g.entry.compares_versions]


def told_along(experiment: Experiment) -> tuple[str, ...]:
    """What the servers must tell in the shadow beside the labels: some of ``contract.shadow.ALONG``."""
    lists = any(gate.of_lists for gate in shadow_gates(experiment))
    scores = any(
        gate.needs_scores and experiment.data.task != "regression" for gate in shadow_gates(experiment)
    )
    return tuple(what for what, asked in zip(ALONG, (scores, lists), strict=True) if asked)


def _problem(gate: Gate, experiment: Experiment) -> str | None:
    if gate.column:
        return "live traffic does not say which slice a request belongs to; leave the slice out"
    live = gate.entry.live
    if live == "latency":
        return None
    if live is None:
        known = ", ".join(metric.name for metric in METRICS.values() if metric.live)
        return f"{gate.metric} cannot be followed live; there are {known} and latency (p99)"
    if gate.entry.compares_versions:
        if experiment.data.task == "regression" and (
            gate.of_lists or (gate.needs_scores and gate.entry.name == "agreement")
        ):
            return "a regression answers with a number, without scores or lists; gate agreement >= 99%"
        if gate.of_lists and (gate.k or 0) > MOST_ITEMS:
            return f"the servers tell the first {MOST_ITEMS} items of a list; write agreement@{MOST_ITEMS}"
        if not experiment.canary.shadow:
            return (
                "only the shadow has both versions' answers to the same requests; set [canary] shadow, such "
                "as '5m'"
            )
        return None
    if gate.against != "stable":
        return f"a live share is compared with stable's; write '{gate.metric} {gate.operator} stable ...'"
    return None


def check_feedback(experiment: Experiment, dataset: Dataset) -> None:
    """Refuse gates that are followed by feedback, where no row has a label that users could send.

    Raises:
        GateError: there is such a gate.
    """
    gates = (*experiment.gates, *experiment.canary.rollback)
    gate = next((gate for gate in gates if gate.entry.live == "answers"), None)
    if gate is not None and not dataset.labelled:
        raise GateError(
            f"gate {str(gate)!r}: {gate.metric} needs labels, and {dataset.path} has no column "
            f"{experiment.data.label_column!r}; name it under [data] label, or leave the gate out, of "
            "[canary] rollback too, and gate the agreement in a [canary] shadow"
        )
