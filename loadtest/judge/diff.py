"""Two runs side by side: what changed from the one before to the one after. Readings, no verdict.

Three things are followed: stable, the candidate, and the candidate against stable. The machine of another
day is another machine, so a change of stable's own latency may be the machine's; both versions of a run share
it, so it cancels in the third.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Load
from loadtest.experiment.gate import Gate
from loadtest.experiment.metrics import QUALITY
from loadtest.experiment.role import ROLES, Role
from loadtest.judge.diff_lines import Change, Changes, line
from loadtest.judge.distinct_rows import Rows
from loadtest.judge.measurement import Measurement
from loadtest.judge.metric_tests import answers_by_phase, good, measure, rates_without
from loadtest.judge.outcomes import Outcomes
from loadtest.judge.paired_outcomes import Evidence, NoEvidence
from loadtest.judge.run import Run
from loadtest.stats.censored import reaches_censored
from loadtest.stats.estimate import Known, StudentEstimate, independent_difference
from loadtest.stats.quantiles import block_count, jackknife, log_level, log_ratio

_HIDDEN = "{} lies among requests without an answer in time {}"
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def diff_runs(before: Run, after: Run) -> Changes:
    """Compare two runs; what cannot be compared says why in place of an interval."""
    same_set = _same_set(before.dataset, after.dataset)
    same_arrivals = same_set and all(
        _same_arrivals(before.evidence.of(role), after.evidence.of(role)) for role in ROLES
    )
    found: list[Change] = []
    for role in ROLES:
        found += _latencies(before, after, role, same_arrivals=same_arrivals)
        found += _shares(before, after, role, same_set=same_set)
        found.append(_goodput(before, after, role))
        found += _facts(before, after, role)
    found += _against_stable(before, after, same_set=same_set)
    return Changes(
        confidence=after.experiment.confidence,
        same_arrivals=same_arrivals,
        conditions=tuple(_conditions(before, after, same_set=same_set)),
        changes=tuple(found),
    )


def _same_set(one: Dataset, other: Dataset) -> bool:
    return np.array_equal(one.labels, other.labels) and one.sends_what(other)


def _same_arrivals(one: Outcomes, other: Outcomes) -> bool:
    return np.array_equal(one.row, other.row) and np.allclose(
        one.scheduled_at, other.scheduled_at, rtol=0, atol=1e-3
    )


def _conditions(before: Run, after: Run, *, same_set: bool) -> Iterator[str]:
    one, two = before.experiment, after.experiment
    sides: list[tuple[str, object, object]] = [
        ("experiment", one.name, two.name),
        ("stable", one.versions.stable, two.versions.stable),
        ("candidate", one.versions.candidate, two.versions.candidate),
        ("backend", before.facts.backend, after.facts.backend),
        ("traffic", one.load.traffic, two.load.traffic),
        ("arrivals per second", f"{one.load.rate:g}", f"{two.load.rate:g}"),
        ("rows per request", _rows(one.load), _rows(two.load)),
        ("phases", _phases(one.load), _phases(two.load)),
        ("replayed log", _replay(one.load), _replay(two.load)),
        ("seconds of load", f"{before.evidence.duration:.0f}", f"{after.evidence.duration:.0f}"),
        ("seed", one.load.seed, two.load.seed),
        ("time-out in seconds", f"{one.load.timeout:g}", f"{two.load.timeout:g}"),
        ("objective in seconds", f"{one.objective.latency:g}", f"{two.objective.latency:g}"),
        *(
            (
                f"CPU limit of {role}",
                _cores(before.facts.of(role).cpus),
                _cores(after.facts.of(role).cpus),
            )
            for role in ROLES
        ),
    ]
    yield from (f"{what}: {a} before, {b} after" for what, a, b in sides if a != b)
    if not same_set:
        yield "other evaluation sets: quality is not compared"


def _phases(load: Load) -> str:
    return (
        ", ".join(
            f"{p.rate:g}{'' if p.to is None else f' to {p.to:g}'} for {p.duration:g} s" for p in load.phases
        )
        or "none"
    )


def _rows(load: Load) -> str:
    return ", ".join(
        f"{size}" if len(load.rows_per_request) == 1 else f"{size} by {weight:g}"
        for size, weight in load.rows_per_request
    )


def _replay(load: Load) -> str:
    return "none" if load.replay is None else f"{load.replay.name} at {load.speed_up:g} times its speed"


def _cores(cpus: float | None) -> str:
    return "not enforced" if cpus is None else f"{cpus:g}"


def _latencies(before: Run, after: Run, role: Role, *, same_arrivals: bool) -> Iterator[Change]:
    one, two = (run.evidence.of(role).requests for run in (before, after))
    for name, q in QUANTILES.items():
        gate = Gate.beside_stable(name, relative=True)
        own = (_known_quantile(before, role, q), _known_quantile(after, role, q))
        cuts = [block_count(run.evidence.duration) for run in (before, after)]
        measured: Measurement | str
        compared = "unpaired"
        if not all(cuts):
            measured = "a run is too short for time blocks"
        else:
            s, c = (
                run.evidence.blocked(o, n)
                for run, o, n in zip((before, after), (one, two), cuts, strict=True)
            )
            hidden = [
                reaches_censored(values, q, run.experiment.load.timeout)
                for run, values in ((before, s), (after, c))
            ]
            if any(hidden):
                measured = _HIDDEN.format(name, "before" if hidden[0] else "after")
                yield line(role, gate, measured, own, "not compared", after.experiment.confidence)
                continue
            if same_arrivals and cuts[0] == cuts[1]:
                compared, estimate = "paired by time block", log_ratio(s, c, q)
            else:
                estimate = independent_difference(log_level(s, q), log_level(c, q))
            measured = Measurement(estimate, 0.0, None, None, to_base=math.expm1)
        yield line(role, gate, measured, own, compared, after.experiment.confidence)


def _known_quantile(run: Run, role: Role, q: float) -> float | None:
    """A version's own quantile, seconds; None where there is no sample or the time-out hides it."""
    latency = run.evidence.of(role).requests.latency
    value = float(np.quantile(latency, q)) if len(latency) else math.inf
    return value if value < run.experiment.load.timeout else None


def _shares(before: Run, after: Run, role: Role, *, same_set: bool) -> Iterator[Change]:
    """Errors, unpaired; quality, row by row on the rows that both runs sent."""
    one, two = before.evidence.of(role), after.evidence.of(role)
    duration = max(before.evidence.duration, after.evidence.duration)
    confidence = after.experiment.confidence
    gate = Gate.beside_stable("error_rate")
    yield line(
        role, gate, *_measured(gate, Evidence(one, two, False, 0, duration), after), "unpaired", confidence
    )
    gates = [Gate.beside_stable(QUALITY[after.experiment.data.task])]
    if not after.dataset.labelled:
        gates = []
    elif after.experiment.data.task == "regression":
        gates.append(Gate.beside_stable("r2"))
    elif before.dataset.values is not None and after.dataset.values is not None:
        gates.append(Gate.beside_stable("value", relative=True))
    for gate in gates:
        if not same_set:
            yield line(role, gate, "not comparable: other rows", (None, None), "not compared", confidence)
            continue
        common = np.zeros(len(after.dataset), dtype=bool)
        common[np.intersect1d(one.row, two.row)] = True
        evidence = Evidence(one.where(common[one.row]), two.where(common[two.row]), True, 0, duration)
        compared = f"paired by row, {int(common.sum()):,} rows in both"
        yield line(role, gate, *_measured(gate, evidence, after), compared, confidence)


def _measured(
    gate: Gate, evidence: Evidence, run: Run
) -> tuple[Measurement | str, tuple[float | None, float | None]]:
    try:
        measured = measure(gate, replace(run, evidence=evidence))
    except NoEvidence as missing:
        return str(missing), (None, None)
    return measured, (measured.stable, measured.candidate)


def _goodput(before: Run, after: Run, role: Role) -> Change:
    gate = Gate.beside_stable("goodput")
    levels = [_good_answers(run, role) for run in (before, after)]
    own = (levels[0].value, levels[1].value)
    measured: Measurement | str
    one, two = before.experiment.load, after.experiment.load
    if (one.rate, one.phases) != (two.rate, two.phases):
        measured = "not comparable: other rates"
    elif not all(level.freedom for level in levels):
        measured = "a run is too short for time blocks"
    else:
        measured = Measurement(independent_difference(*levels), 0.0, None, None)
    return line(role, gate, measured, own, "unpaired", after.experiment.confidence)


def _good_answers(run: Run, role: Role) -> StudentEstimate:
    outcomes, evidence = run.evidence.of(role), run.evidence
    counted = outcomes.as_requests(good(outcomes, run))
    rate = float(counted.sum()) / evidence.duration
    blocks = block_count(evidence.duration)
    if not blocks:
        return StudentEstimate(rate, math.inf, 0)
    cut = evidence.cut(blocks)
    counts = np.bincount(cut.of(outcomes.scheduled_at), counted, len(cut)).astype(np.float64)
    return jackknife(rate, rates_without(counts, cut.lengths), answers_by_phase(cut))


def _facts(before: Run, after: Run, role: Role) -> Iterator[Change]:
    """What was read or counted, so without an interval."""
    readers: dict[str, Callable[[Run], float | None]] = {
        "mismatches": lambda run: _mismatches(run.evidence.of(role)),
        "cpu_throttled": lambda run: run.facts.of(role).cpu_throttled_ratio,
        "memory": lambda run: run.facts.of(role).memory_bytes,
    }
    for name, read in readers.items():
        gate, own = Gate.beside_stable(name, relative=name == "memory"), (read(before), read(after))
        measured: Measurement | str = "not measured in both runs"
        if own[0] is not None and own[1] is not None:
            if gate.relative:
                measured = Measurement(Known(own[1] / own[0] - 1), 0.0, None, None) if own[0] else "it was 0"
            else:
                measured = Measurement(Known(own[1] - own[0]), 0.0, None, None)
        yield line(role, gate, measured, own, "read once", after.experiment.confidence)


def _mismatches(outcomes: Outcomes) -> float | None:
    return float(outcomes.mismatch.sum()) if outcomes.compared.any() else None


def _against_stable(before: Run, after: Run, *, same_set: bool) -> Iterator[Change]:
    """The change of the difference between the versions: what both share, such as the machine, cancels."""
    confidence = after.experiment.confidence
    cuts = [block_count(run.evidence.duration) for run in (before, after)]
    for name, q in QUANTILES.items():
        gate = Gate.beside_stable(name, relative=True)
        if not (all(cuts) and before.evidence.paired and after.evidence.paired):
            why = "needs paired traffic and time blocks in both runs"
            yield line("candidate against stable", gate, why, (None, None), "not compared", confidence)
            continue
        ratios = []
        for when, run, n in zip(("before", "after"), (before, after), cuts, strict=True):
            s, c = (run.evidence.blocked(run.evidence.of(role).requests, n) for role in ROLES)
            if any(reaches_censored(values, q, run.experiment.load.timeout) for values in (s, c)):
                why = _HIDDEN.format(name, when)
                yield line("candidate against stable", gate, why, (None, None), "not compared", confidence)
                break
            ratios.append(log_ratio(s, c, q))
        else:
            yield _ratio_change(gate, independent_difference(*ratios), ratios, confidence)
    if same_set and after.experiment.data.task != "regression" and after.dataset.labelled:
        yield _accuracy_against_stable(before, after)


def _ratio_change(
    gate: Gate, estimate: StudentEstimate, ratios: list[StudentEstimate], confidence: float
) -> Change:
    """Here the versions' own values are ratios: the candidate's quantile in % above stable's."""
    measured = Measurement(estimate, 0.0, None, None, to_base=math.expm1)
    change = line(
        "candidate against stable", gate, measured, (None, None), "paired by time block", confidence
    )
    own = [100 * math.expm1(ratio.value) for ratio in ratios]
    return change.model_copy(update={"before": own[0], "after": own[1], "value_unit": "%"})


def _accuracy_against_stable(before: Run, after: Run) -> Change:
    gate, gains = Gate.beside_stable("accuracy"), []
    for run in (before, after):
        per_row = np.full((2, len(run.dataset)), np.nan)
        for i, role in enumerate(ROLES):
            rows = Rows.of(run.evidence.of(role), run.dataset)
            per_row[i, rows.rows] = rows.mean(run.evidence.of(role).correct.astype(np.float64))
        gains.append(per_row[1] - per_row[0])
    moved = gains[1] - gains[0]
    common = np.isfinite(moved)
    n = int(common.sum())
    measured: Measurement | str = "no row was sent in both runs"
    own: tuple[float | None, float | None] = (None, None)
    if n > 1:
        error = float(np.std(moved[common], ddof=1)) / math.sqrt(n)
        measured = Measurement(StudentEstimate(float(moved[common].mean()), error, n - 1), 0.0, None, None)
        own = (float(gains[0][common].mean()), float(gains[1][common].mean()))
    confidence = after.experiment.confidence
    change = line(
        "candidate against stable", gate, measured, own, f"paired by row, {n:,} rows in both", confidence
    )
    return change.model_copy(update={"value_unit": "pp"})
