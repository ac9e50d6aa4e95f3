"""Gates on ranked lists: how good they are by what rows wanted, and how much two versions' lists overlap.

The list of a classification is its classes by their scores, and what a row wanted is its label. The unit is
the distinct row, as in ``loadtest.judge.quality_tests``. A request without an answer shows no item, so it is
worth 0.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtest.data.ranking_text import LONGEST
from loadtest.experiment.gate import Gate
from loadtest.judge import quality_tests
from loadtest.judge.distinct_rows import Rows
from loadtest.judge.measurement import Measurement
from loadtest.judge.mismatches import LEAST_COMPARED
from loadtest.judge.outcomes import Flags, Floats, Outcomes, Places
from loadtest.judge.paired_outcomes import NoEvidence
from loadtest.judge.run import Run
from loadtest.judge.score_tests import class_scores
from loadtest.stats import means, rankings
from loadtest.stats.bootstrap import JackknifeEstimate
from loadtest.stats.proportions import Share

_AT_ONCE = 10_000
"""Arrivals whose classes are put in order at a time, until all classes have been shown."""


class _Lists(NamedTuple):
    """Of outcomes, the lengths of their lists, shape (n,), and the items of all, one list after the other."""

    lengths: Places
    items: pa.DictionaryArray

    @classmethod
    def of(cls, outcomes: Outcomes) -> _Lists:
        lists = outcomes.ranking
        if lists.null_count == len(lists) and not outcomes.failed.all():
            raise NoEvidence("the samples carry no rankings; measure again with [data] task = 'ranking'")
        lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0), dtype=np.intp)
        return cls(lengths, pc.list_flatten(lists).dictionary_encode())

    def codes(self, catalogue: pa.Array) -> Places:
        """The place of each item in ``catalogue``; -1: it is not there."""
        place = pc.fill_null(pc.index_in(self.items.dictionary, value_set=catalogue), -1)
        found: Places = np.asarray(place, dtype=np.intp)[np.asarray(self.items.indices)]
        return found

    def first(self, k: int) -> Flags:
        """Which items are among the first ``k`` of their list."""
        starts = np.repeat(np.cumsum(self.lengths) - self.lengths, self.lengths)
        return np.arange(len(self.items)) - starts < k

    def shown(self, k: int) -> int:
        """How many different items stand among the first ``k`` of a list."""
        return len(np.unique(np.asarray(self.items.indices)[self.first(k)]))


def ranking(gate: Gate, run: Run) -> Measurement:
    """The mean of a value per row, by Student's t of paired rows."""
    evidence = run.evidence
    stable, candidate = (
        Rows.of(outcomes, run.dataset).mean(values(gate, run, outcomes))
        for outcomes in (evidence.stable, evidence.candidate)
    )
    own_s, own_c = float(stable.mean()), float(candidate.mean())
    if gate.against == "absolute":
        found = means.mean(candidate)
        within = (-math.inf, 1.0)
        estimate = JackknifeEstimate(
            found.value, len(candidate), own_c, found.error, found.freedom, within=within
        )
    else:
        estimate = difference(stable, candidate, paired=evidence.paired)
    note = _coverage(gate, run)
    return Measurement(estimate, gate.margin, own_s, own_c, rows=len(candidate), note=note)


def difference(stable: Floats, candidate: Floats, *, paired: bool) -> JackknifeEstimate:
    """mean(candidate) - mean(stable) of a value per row, of which an unseen row may lose all."""
    found = means.difference(stable, candidate, paired=paired, relative=False)
    rows = min(len(stable), len(candidate))
    return JackknifeEstimate(found.value, rows, float(candidate.mean()), found.error, found.freedom)


def hit(gate: Gate, run: Run) -> Measurement:
    """Share of rows with a relevant item among the first k, which is to lists what accuracy is to labels."""
    return replace(quality_tests.accuracy(gate, _with_hits(gate, run)), note=_coverage(gate, run))


def value(gate: Gate, run: Run) -> Measurement:
    """What 1,000 requests earn where whoever finds a relevant item among the first k takes it."""
    return replace(quality_tests.value(gate, _with_hits(gate, run)), note=_coverage(gate, run))


def _with_hits(gate: Gate, run: Run) -> Run:
    """The same run, an answer of which is right where a relevant item is among its first k."""
    evidence = run.evidence
    stable, candidate = (
        replace(outcomes, correct=values(gate, run, outcomes) > 0)
        for outcomes in (evidence.stable, evidence.candidate)
    )
    return replace(run, evidence=replace(evidence, stable=stable, candidate=candidate))


def gains_by_place(run: Run, outcomes: Outcomes, places: int) -> Floats:
    """What the item in each of the first ``places`` of a list gains, shape (distinct rows, places).

    Raises:
        NoEvidence: there are no lists, or no labels.
    """
    hits = _hits(run, outcomes)[0].within(places)
    gains = np.zeros((len(outcomes), places))
    gains[hits.arrival, hits.rank] = hits.gain
    rows = Rows.of(outcomes, run.dataset)
    return np.column_stack([rows.mean(gain) for gain in gains.T])


def overlap(gate: Gate, run: Run) -> Measurement:
    """Mean share of the first k items that both versions show; Clopper and Pearson's interval.

    A share per row varies less than yes or no would, so the interval is on the safe side.
    """
    evidence = run.evidence
    if not evidence.paired:
        raise NoEvidence("no request goes to both versions, so their lists cannot be compared")
    sent = len(Rows.of(evidence.stable, run.dataset).rows)
    answered = ~evidence.stable.failed
    stable, candidate = evidence.stable.where(answered), evidence.candidate.where(answered)
    rows = Rows.of(stable, run.dataset)
    compared = len(rows.rows)
    if compared < max(1, LEAST_COMPARED * sent):
        raise NoEvidence(
            f"stable answered {compared:,} of {sent:,} distinct rows, {LEAST_COMPARED:.0%} are needed; "
            "see its errors, lower the rate or give it more CPU"
        )
    lists = (_Lists.of(stable), _Lists.of(candidate))
    both = pc.unique(pa.concat_arrays([each.items.dictionary for each in lists]))
    codes = (lists[0].codes(both), lists[1].codes(both))
    shares = rankings.overlap((lists[0].lengths, lists[1].lengths), codes, gate.k or LONGEST)
    shares[candidate.failed] = 0.0
    effect = evidence.bursts(stable, shares) if candidate.failed.any() else 1.0
    estimate = Share(float(rows.mean(shares).sum()) / effect, compared / effect)
    apart = len(np.unique(stable.row[shares < 1]))
    note = f"they differ on {apart:,} rows" if apart else ""
    return Measurement(estimate, gate.margin, None, estimate.value, rows=compared, note=note)


def values(gate: Gate, run: Run, outcomes: Outcomes) -> Floats:
    """The metric of each arrival's list, shape (arrivals,)."""
    hits, wanted = _hits(run, outcomes)
    name = gate.entry.name.removesuffix("@k")
    return rankings.METRICS["hit" if name == "value" else name](
        hits, wanted, len(run.dataset), gate.k or LONGEST
    )


def _hits(run: Run, outcomes: Outcomes) -> tuple[rankings.Hits, rankings.Wanted]:
    """Where what a row wanted stands in the list of each arrival, and what it wanted."""
    catalogue, wanted = _relevant(run)
    row = outcomes.row.astype(np.intp)
    if run.experiment.data.task != "classification":
        lists = _Lists.of(outcomes)
        return rankings.Hits.find(wanted, row, lists.lengths, lists.codes(catalogue)), wanted
    scores = _class_scores(outcomes, run)
    answered = np.flatnonzero(~np.isnan(scores[:, 0]))
    scores, label = scores[answered], wanted.item[row[answered]]
    own = scores[np.arange(len(label)), label]
    rank = np.zeros(len(label), np.intp)
    # class by class, which needs no list of all: of equal scores the first class stands first
    for place, column in enumerate(scores.T):
        rank += (column > own) | ((column == own) & (place < label))
    return rankings.Hits(answered, row, rank, np.ones(len(label))), wanted


def _class_scores(outcomes: Outcomes, run: Run) -> Floats:
    """The scores of all classes, shape (arrivals, classes); NaN where there is no answer."""
    scores = class_scores(outcomes, len(run.dataset.classes))
    if np.isnan(scores[:, 0]).all() and not outcomes.failed.all():
        raise NoEvidence("the samples carry no scores; measure again with this gate in the experiment")
    return scores


def _relevant(run: Run) -> tuple[pa.Array, rankings.Wanted]:
    """The items that some row wanted, and which of them each row did."""
    dataset = run.dataset
    if run.experiment.data.task == "classification" and dataset.labelled:
        rows = np.arange(len(dataset))
        return pa.array(dataset.classes), rankings.Wanted(rows, dataset.class_places, np.ones(len(rows)))
    if dataset.relevant is None:
        raise NoEvidence("the evaluation set has no labels that say which items are relevant")
    return dataset.relevant.catalogue, dataset.relevant.wanted


def _coverage(gate: Gate, run: Run) -> str:
    """How much of the catalogue each version shows, as a clause; it grows with the rows. Or that stable shows
    nothing of it."""
    k = gate.k or LONGEST
    if run.experiment.data.task != "classification":
        items, wanted = _Lists.of(run.evidence.stable).items.dictionary, _relevant(run)[0]
        if len(items) and not pc.any(pc.is_in(items, value_set=wanted)).as_py():
            item, other = items[0].as_py(), wanted[0].as_py()
            return f"stable shows items such as {item!r}, and rows want such as {other!r}"
    stable, candidate = (_shown(run, run.evidence.of(role), k) for role in ("stable", "candidate"))
    return f"its top {k} show {candidate:,} different items, stable's {stable:,}" if gate.k else ""


def _shown(run: Run, outcomes: Outcomes, k: int) -> int:
    """How many different items stand among the first ``k`` of a list."""
    if run.experiment.data.task != "classification":
        return _Lists.of(outcomes).shown(k)
    scores = _class_scores(outcomes, run)
    seen = np.zeros(scores.shape[1], dtype=bool)
    for begin in range(0, len(scores), _AT_ONCE):
        part = scores[begin : begin + _AT_ONCE]
        seen[np.argsort(-part[~np.isnan(part[:, 0])], axis=1, kind="stable")[:, :k]] = True
        if seen.all():
            break
    return int(seen.sum())
