"""Gates on ranked lists: values from samples, verdicts, what cannot be said, and what is refused before."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import ndcg_score, top_k_accuracy_score

from loadtest.data.dataset import Dataset
from loadtest.data.ranking_text import ranking_text
from loadtest.data.relevance import Relevance
from loadtest.errors import ExperimentError, GateError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.judge.answered_rows import gains
from loadtest.judge.gate_checks import check_gates
from loadtest.judge.judge import judge
from loadtest.judge.metric_tests import measure
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.slices import by_slice
from loadtest.judge.verdict import Word
from loadtest.judge.worse_slices import search_slices
from tests.loadtest.made_samples import Sample, sample_set

ROWS = 400
RNG = np.random.default_rng(5)
CATALOGUE = [f"i{number}" for number in range(30)]
LISTS = [RNG.permutation(CATALOGUE)[:10].tolist() for _ in range(ROWS)]
FIRST = [items[0] for items in LISTS]
WANTED = [items[int(RNG.integers(0, 10))] for items in LISTS]


def experiment(*gates, task="ranking", value=None, **load):
    given = {
        "name": "e",
        "model": {"name": "m", "folder": "m"},
        "data": {"path": "rows.json", "task": task, "value": value},
        "load": load,
    }
    return Experiment.parse(given | ({"gates": list(gates)} if gates else {}), "test")


def dataset(wanted, **columns):
    x = np.arange(len(wanted) if wanted else ROWS) * 1.0
    relevant = Relevance.of(wanted, Path("rows.json"), "label") if wanted else None
    labels = np.asarray(relevant.texts() if relevant else [], dtype=np.str_)
    values = np.full(len(x), 2.0)
    return Dataset(
        Path("rows.json"), x[:, None], ("x",), labels, values, pa.table({"x": x, **columns}),
        ranked=True, relevant=relevant,
    )  # fmt: skip


def run_of(stable, candidate, *gates, wanted=WANTED, columns=None, **load) -> Run:
    """Each row once, asked of both versions; None in place of a list is a time-out."""
    rows, samples = dataset(wanted, **(columns or {})), []
    for role, answers in (("stable", stable), ("candidate", candidate)):
        for row, items in enumerate(answers):
            at = row / 10 + (0.05 if load.get("traffic") == "canary" and role == "candidate" else 0)
            told = (0, "timeout", None) if items is None else (200, None, ranking_text(items))
            right = bool(items) and rows.relevant is not None and items[0] in rows.relevant.items[row]
            samples.append(Sample(row, role, at, at, at + 0.01, *told, right, None, 0, ranking=items))
    facts = RunFacts(backend="local", load=LoadFacts(offered_rps=10, achieved_rps=10, duration_s=40))
    return Run.gather(experiment(*gates, value="v", **load), rows, sample_set(samples), facts)


def swapped(items, one=0, other=2):
    items = list(items)
    items[one], items[other] = items[other], items[one]
    return items


def value_of(gate, run):
    return measure(Gate.parse(gate), run).candidate


def test_values_are_the_means_over_rows():
    wanted = [["a", "b"], {"c": 3, "d": 1}, "e", "f"]
    lists = [["a", "x", "b"], ["d", "c"], [], None]
    run = run_of(lists, lists, wanted=wanted)
    discount = 1 / np.log2(3)
    ndcg = [1.5 / (1 + discount), (1 + 3 * discount) / (3 + discount), 0, 0]
    for gate, value in {
        "ndcg@10 >= 0.1": np.mean(ndcg),
        "hit@1 >= 10%": 0.5,
        "mrr >= 0.1": 0.5,
        "mrr@1 >= 0.1": 0.5,
        "recall@1 >= 10%": np.mean([0.5, 0.5, 0, 0]),
        "recall@3 >= 10%": 0.5,
        "map@3 >= 0.1": np.mean([(1 + 2 / 3) / 2, 1, 0, 0]),
        "accuracy >= 10%": 0.5,
        "value >= 1": 1000.0,
    }.items():
        assert value_of(gate, run) == pytest.approx(value, abs=1e-12), gate


def test_two_positions_swapped_are_caught_by_ndcg_and_not_by_hits():
    gates = ["ndcg@10 >= stable - 0.01", "hit@10 >= stable - 1pp", "mrr >= stable - 0.01"]
    verdict = judge(run_of(LISTS, [swapped(items) for items in LISTS], *gates, wanted=FIRST))
    assert [gate.verdict for gate in verdict.gates] == [Word.FAIL, Word.PASS, Word.FAIL]
    assert "its top 10 show 30 different items, stable's 30" in verdict.gates[0].reason


def test_the_same_lists_pass_and_no_interval_is_closed():
    verdict = judge(run_of(LISTS, LISTS, "ndcg@10 >= stable - 0.01", "map@10 >= stable - 0.01"))
    for gate in verdict.gates:
        assert gate.verdict == Word.PASS
        # a change that no row has shown cannot be ruled out
        assert gate.interval[0] < 0 < gate.interval[1]


def test_few_rows_decide_nothing():
    few = slice(0, 20)
    gate = judge(run_of(LISTS[few], LISTS[few], "ndcg@10 >= stable - 0.01", wanted=WANTED[few])).gates[0]
    assert gate.verdict == Word.INCONCLUSIVE


def test_two_streams_are_compared_without_pairs():
    run = run_of(LISTS, LISTS, "ndcg@10 >= stable - 0.2", traffic="canary")
    paired = run_of(LISTS, LISTS, "ndcg@10 >= stable - 0.2")
    wide, narrow = (judge(each).gates[0] for each in (run, paired))
    assert np.ptp(wide.interval) > np.ptp(narrow.interval)


def test_slices_are_judged():
    segment = ["old" if row % 2 else "new" for row in range(ROWS)]
    worse = [swapped(items) if row % 2 else items for row, items in enumerate(LISTS)]
    gates = ["ndcg@10[segment=old] >= stable - 0.01", "ndcg@10[segment=new] >= stable - 0.02"]
    run = run_of(LISTS, worse, *gates, wanted=FIRST, columns={"segment": segment})
    assert [gate.verdict for gate in judge(run).gates] == [Word.FAIL, Word.PASS]
    half = ROWS // 2
    compared = {"all rows": ROWS, "segment=new": ROWS - half, "segment=old": half}
    assert {each.name: each.rows for each in by_slice(run)} == compared


@pytest.mark.parametrize(
    ("candidate", "share", "verdict"),
    [
        (LISTS, 1.0, Word.PASS),
        ([swapped(items) for items in LISTS], 1.0, Word.PASS),  # the same items in another order
        ([[*items[:-1], "new"] for items in LISTS], 0.9, Word.FAIL),
        # a time-out shows none of the items
        ([items if row % 10 else None for row, items in enumerate(LISTS)], 0.9, Word.FAIL),
    ],
)
def test_agreement_of_the_first_k_needs_no_labels(candidate, share, verdict):
    gate = judge(run_of(LISTS, candidate, "agreement@10 >= 97%", wanted=None)).gates[0]
    assert (gate.estimate, gate.verdict) == (pytest.approx(100 * share), verdict)


def test_agreement_is_of_whole_lists():
    run = run_of(LISTS, [swapped(items) for items in LISTS], "agreement >= 90%", wanted=None)
    assert judge(run).gates[0].estimate == 0


def test_samples_of_before_have_no_rankings():
    run = run_of(LISTS, LISTS, "ndcg@10 >= 0.1")
    nothing = pa.nulls(ROWS, pa.list_(pa.string()))
    evidence = run.evidence
    bare = (replace(each, ranking=nothing) for each in (evidence.stable, evidence.candidate))
    bare = replace(evidence, **dict(zip(("stable", "candidate"), bare, strict=True)))
    reason = judge(replace(run, evidence=bare)).gates[0].reason
    assert "carry no rankings" in reason


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ("ndcg >= 0.5", "ndcg lacks its k; write for example ndcg@10"),
        ("hit >= 50%", "hit lacks its k"),
        ("ndcg@0 >= 0.5", "the first 0 items say nothing"),
        ("ndcg@10 >= stable - 1pp", "a margin on ndcg@10 is not given in 'pp'; write '0.01'"),
        ("ndcg@10 >= 1", "no number of requests can show this bound"),
        ("coverage@10 >= 5", "has no interval and can be no gate"),
        ("agreement@10 >= stable", "agreement compares the candidate with stable already"),
        ("accuracy@3 >= 50%", "accuracy takes no @3"),
    ],
)
def test_gates_that_are_none(gate, says):
    with pytest.raises(GateError) as raised:
        Gate.parse(gate)
    assert says in str(raised.value)


def test_recall_with_a_k_is_another_metric():
    at, plain = Gate.parse("recall@10 >= 50%"), Gate.parse("recall >= 50%")
    assert (at.metric, at.entry.task, at.k) == ("recall@10", "ranking", 10)
    assert (plain.entry.task, plain.k) == ("classification", None)


@pytest.mark.parametrize(
    ("made", "wanted", "says"),
    [
        (experiment("mrr >= 0.5", task="regression"), WANTED, "set [data] task = 'ranking'"),
        (experiment("f1_macro >= 0.5"), WANTED, "f1_macro is for classifications"),
        (experiment("ndcg@10 >= 0.5"), None, "needs labels"),
        (experiment("ndcg@10 >= 0.5", until_decided=True), WANTED, "judged at the end of the load"),
        (experiment("agreement@5 >= 90%", traffic="canary"), WANTED, "answered by both versions"),
    ],
)  # fmt: skip
def test_what_is_refused_before_the_load(made, wanted, says):
    with pytest.raises(GateError) as raised:
        check_gates(made, dataset(wanted))
    assert says in str(raised.value)


def test_users_report_one_item():
    with pytest.raises(ExperimentError, match=r"row 0 of rows\.json has 2; label each row with one"):
        check_gates(experiment("accuracy >= 50%", traffic="canary"), dataset([["a", "b"], "c"]))


def test_without_gates_ndcg_is_demanded():
    assert str(experiment().gates[0]) == "ndcg@10 >= stable - 0.01"


CLASSES = ["a", "b", "c", "d"]


def classified(scores, candidate, labels, *gates, **load) -> Run:
    """A classification whose versions answer each row with scores; None in their place is a time-out."""
    x = np.arange(len(labels)) * 1.0
    rows = Dataset(Path("rows.json"), x[:, None], ("x",), np.asarray(labels), None, pa.table({"x": x}))
    samples = []
    for role, answers in (("stable", scores), ("candidate", candidate)):
        for row, given in enumerate(answers):
            at = row / 100
            best = None if given is None else rows.classes[int(np.argmax(given))]
            told = (0, "timeout", None) if given is None else (200, None, best)
            right = best == labels[row]
            samples.append(Sample(row, role, at, at, at + 0.01, *told, right, None, 0, scores=given))
    seconds = len(labels) / 100
    facts = RunFacts(backend="local", load=LoadFacts(offered_rps=100, achieved_rps=100, duration_s=seconds))
    asked = experiment(*gates, task="classification", **load)
    return Run.gather(asked, rows, sample_set(samples), facts)


def test_the_list_of_a_classification_is_its_classes_by_their_scores():
    labels = RNG.choice(CLASSES, 300).tolist()
    scores = RNG.dirichlet(np.ones(4), 300).astype(np.float32).astype(float)
    truth = np.equal.outer(labels, CLASSES).astype(float)
    run = classified([*scores[:-1], None], [*scores[:-1], None], labels)
    answered = {"ndcg@3": ndcg_score(truth[:-1], scores[:-1], k=3) * 299 / 300}
    places = [CLASSES.index(label) for label in labels[:-1]]
    answered["hit@2"] = top_k_accuracy_score(places, scores[:-1], k=2) * 299 / 300
    ranks = (scores[:-1] >= scores[np.arange(299), places][:, None]).sum(axis=1)
    answered["mrr"] = (1 / ranks).sum() / 300
    for metric, value in answered.items():
        assert value_of(f"{metric} >= 0.1" if metric != "hit@2" else "hit@2 >= 10%", run) == pytest.approx(
            value
        )
    assert value_of("hit@1 >= 1%", run) == value_of("accuracy >= 1%", run)


def test_the_value_of_a_list_is_that_of_the_rows_whose_item_is_in_it():
    run = run_of(LISTS, [*LISTS[:-1], None])
    for k in (1, 5):
        found = measure(Gate.parse(f"value@{k} >= stable - 5%"), run)
        hits = [wanted in items[:k] for wanted, items in zip(WANTED, LISTS, strict=True)]
        # every row is worth 2
        assert found.stable == pytest.approx(2000 * np.mean(hits), abs=1e-9)
        assert found.candidate == pytest.approx(2000 * np.mean([*hits[:-1], 0]), abs=1e-9)
    assert value_of("value@1 >= 1", run) == value_of("value >= 1", run)


@pytest.mark.parametrize("task", ["ranking", "classification"])
def test_the_gains_of_all_places_add_up_to_the_hits(task):
    if task == "ranking":
        run = run_of(LISTS, [swapped(items) for items in LISTS], wanted=FIRST)
    else:
        scores = RNG.dirichlet(np.ones(4), 200).astype(np.float32)
        run = classified(scores.tolist(), scores[:, ::-1].tolist(), RNG.choice(CLASSES, 200).tolist())
    for role, found in gains(run, 3).items():
        hits = measure(Gate.parse("hit@3 >= 1%"), run)
        assert found.shape == (len(run.dataset), 3)
        assert found.sum(axis=1).mean() == pytest.approx(getattr(hits, role), abs=1e-12)
    if task == "ranking":
        assert gains(run, 3)["stable"].mean(axis=0).tolist() == [1, 0, 0]
        assert gains(run, 3)["candidate"].mean(axis=0).tolist() == [0, 0, 1]


def test_hits_end_a_run_that_ends_when_it_is_decided():
    labels = np.resize(CLASSES, 6000).tolist()
    good = np.eye(4)[np.resize(np.arange(4), 6000)] * 0.7 + 0.1
    bad = np.roll(good, 1, axis=1)
    gate = "hit@1 >= stable - 5pp"
    for candidate, word in ((good, Word.PASS), (bad, Word.FAIL)):
        run = classified(good.tolist(), candidate.tolist(), labels, gate, until_decided=True)
        assert run.experiment.scored
        assert run.experiment.follows_lists
        verdict = judge(run)
        assert (verdict.gates[0].verdict, verdict.decided_after_s is not None) == (word, True)


@pytest.mark.parametrize(
    ("gate", "load", "says"),
    [
        # every class is among the first four
        ("hit@4 >= stable", {}, "of 4 classes, the top 4 say nothing"),
        # no bets on means
        ("ndcg@3 >= stable", {"until_decided": True}, "judged at the end"),
        # of lists alone
        ("agreement@3 >= 90%", {}, "is for rankings"),
    ],
)
def test_gates_on_lists_that_fit_no_classification(gate, load, says):
    run = classified([[0.1, 0.2, 0.3, 0.4]] * 4, [[0.1, 0.2, 0.3, 0.4]] * 4, CLASSES, gate, **load)
    with pytest.raises(GateError, match=says):
        check_gates(run.experiment, run.dataset)


@pytest.mark.parametrize(
    "gate", ["ndcg@10 >= stable - 0.05", "hit@5 >= stable - 5pp", "value@5 >= stable - 1"]
)
def test_two_versions_that_answer_other_ids_are_not_equally_good(gate):
    others = [[f"item-{item}" for item in items] for items in LISTS]
    (found,) = judge(run_of(others, others, gate)).gates
    assert found.verdict == Word.INCONCLUSIVE
    assert "of both versions is 0" in found.reason
    assert f"stable shows items such as 'item-{LISTS[0][0]}', and rows want such as 'i0'" in found.reason


def test_the_slice_on_which_lists_are_worse_is_found_by_what_they_are_worth():
    city = np.where(RNG.random(ROWS) < 0.4, "Bern", "Rome")
    worse = [swapped(items) if city[row] == "Rome" else items for row, items in enumerate(LISTS)]
    found = search_slices(
        run_of(LISTS, worse, "ndcg@10 >= stable - 0.01", "agreement@10 >= 99%", wanted=FIRST,
               columns={"city": city})
    )  # fmt: skip
    (one,) = found.found
    assert (one.name, one.metric, one.rows) == ("city=Rome", "ndcg@10", (city == "Rome").sum())
    assert (one.stable, one.candidate) == pytest.approx((1, 0.5))
    assert found.missing["agreement@10"].startswith("it says which answers differ")
