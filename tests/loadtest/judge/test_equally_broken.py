"""Two versions that are equally broken look equal: stable is held against the labels before any margin."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from loadtest.experiment.role import Role
from loadtest.experiment.target import Target
from loadtest.judge.foreign_answers import worse_than_chance
from loadtest.judge.judge import judge
from loadtest.judge.run import VersionFacts
from loadtest.judge.verdict import Word
from loadtest.report.html import to_html
from loadtest.report.machine_formats import to_markdown
from tests.attacks.made_runs import ARRIVALS, run_of, says
from tests.loadtest.judge.test_judge import ALWAYS_FAILING, Arm, Run

EQUAL = ("accuracy >= stable - 5pp", "error_rate <= stable + 5pp", "p50 <= stable + 25ms")


@pytest.mark.parametrize(
    ("stable", "candidate", "word", "reason"),
    [
        # both fail 71%: no difference, and nothing that could go live
        (0.71, 0.71, Word.INVALID, "stable failed 8,"),
        (0.51, 0.0, Word.INVALID, "stable failed 6,"),
        (0.3, 0.3, Word.PASS, "all 3 gates are met"),
        # the candidate's errors are for the gates
        (0.0, 0.71, Word.FAIL, "at most −"),
    ],
)
def test_stable_must_answer_half_of_its_requests(stable, candidate, word, reason):
    run = Run(
        Arm(errors=stable), Arm(errors=candidate), gates=EQUAL, arrivals=12_000, rows=12_000, seconds=120
    )
    verdict = run.judge()
    assert verdict.verdict is word, verdict.reason
    assert reason in verdict.reason


def answering(run, role: str, text: str, share: float, *, correct: bool = False):
    """The same run, where ``role`` gives one answer to a share of its requests."""
    outcomes = getattr(run.evidence, role)
    changed = np.arange(len(outcomes)) % 1000 < 1000 * share
    texts = np.where(changed, text, np.asarray(outcomes.prediction.to_pylist(), dtype=object))
    right = np.where(changed, correct, outcomes.correct)
    other = replace(outcomes, prediction=pa.array(texts.tolist(), pa.string()), correct=right)
    return replace(run, evidence=replace(run.evidence, **{role: other}))


@pytest.mark.parametrize(
    ("role", "text", "share", "invalid"),
    [
        # probabilities for labels, on 98.8% of the requests: both versions are then right in about 1%
        ("stable", "0.0123", 0.988, True),
        ("candidate", "0.0123", 0.988, True),
        ("candidate", "[0.2, 0.8]", 0.51, True),
        ("stable", "", 0.6, True),
        # a few answers of a class that the rows do not have
        ("stable", "2", 0.3, False),
        ("candidate", "nan", 0.008, False),
        # wrong, but labels
        ("stable", "1", 1.0, False),
    ],
)
def test_most_answers_must_be_labels(role, text, share, invalid):
    verdict = judge(answering(Run(gates=EQUAL).gather(), role, text, share))
    assert (verdict.verdict is Word.INVALID) is invalid, verdict.reason
    if invalid:
        name = "stable" if role == "stable" else "the candidate"
        assert f"answers of {name} are no label: it answers {text!r}" in verdict.reason
        assert "the labels read '0', '1'" in verdict.reason


def test_what_was_called_correct_is_a_label_in_whatever_words():
    verdict = judge(answering(Run(gates=EQUAL).gather(), "stable", "yes", 1.0, correct=True))
    assert verdict.verdict is not Word.INVALID
    assert verdict.versions["stable"].foreign_answers == 0


def test_answers_to_a_set_of_one_class_may_be_of_the_other():
    # three frauds in five are not recognised: that is for the gates
    run = Run(Arm(accuracy=0.4), Arm(accuracy=0.4), gates=("accuracy >= stable - 5pp",))
    frauds = replace(run.dataset(), labels=np.full(run.rows, "1"))
    verdict = judge(replace(run.gather(), dataset=frauds))
    assert verdict.verdict is not Word.INVALID
    # labels that have no opposite
    named = replace(run.dataset(), labels=np.full(run.rows, "fraud"))
    assert judge(replace(run.gather(), dataset=named)).verdict is Word.INVALID


def exchanged(run, *roles: str, share: float = 1.0):
    """The same run, where a share of the answers of ``roles`` calls each class by the other's name."""
    changed = np.arange(len(run.evidence.stable)) % 1000 < 1000 * share
    for role in roles:
        outcomes = getattr(run.evidence, role)
        texts = np.asarray(outcomes.prediction.to_pylist(), dtype=object)
        texts = np.where(changed, np.where(texts == "0", "1", "0"), texts)
        right = texts == run.dataset.labels[outcomes.row]
        other = replace(outcomes, prediction=pa.array(texts.tolist(), pa.string()), correct=right)
        run = replace(run, evidence=replace(run.evidence, **{role: other}))
    return run


def labelled_run(rows: int = 3000):
    """Two classes, in turn; both versions are right in 95%."""
    run = Run(arrivals=rows, rows=rows, gates=EQUAL)
    labels = np.array(["0", "1"])[np.arange(rows) % 2]
    gathered = replace(run.gather(), dataset=replace(run.dataset(), labels=labels))
    for role in ("stable", "candidate"):
        outcomes = getattr(gathered.evidence, role)
        right = outcomes.row % 20 != 3
        said = np.where(right, labels[outcomes.row], np.where(labels[outcomes.row] == "0", "1", "0"))
        other = replace(outcomes, prediction=pa.array(said.tolist(), pa.string()), correct=right)
        gathered = replace(gathered, evidence=replace(gathered.evidence, **{role: other}))
    return gathered


@pytest.mark.parametrize(
    ("roles", "share", "invalid"),
    [
        ((), 1.0, False),
        (("stable", "candidate"), 1.0, True),
        # one of them is as good as its labels: the gates tell which
        (("stable",), 1.0, False),
        (("candidate",), 1.0, False),
        # poor, and yet no worse than a coin
        (("stable", "candidate"), 0.5, False),
        (("stable", "candidate"), 0.7, True),
    ],
)
def test_two_versions_worse_than_chance_are_no_comparison(roles, share, invalid):
    verdict = judge(exchanged(labelled_run(), *roles, share=share))
    assert ("less often than by chance" in verdict.reason) is invalid
    assert (verdict.verdict is Word.INVALID) is invalid, verdict.reason


def test_a_candidate_that_gets_more_of_stables_mistakes_right_is_judged():
    run = exchanged(labelled_run(), "stable", "candidate")
    assert judge(exchanged(run, "candidate", share=0.2)).verdict is not Word.INVALID
    # by hardly anything more
    assert judge(exchanged(run, "candidate", share=0.005)).verdict is Word.INVALID


def test_a_candidate_that_is_shown_to_be_worse_still_is_judged():
    # stable is right on 30.9% and the candidate on 4.9%
    run = exchanged(exchanged(labelled_run(), "stable", share=0.712), "candidate")
    assert judge(run).verdict is Word.FAIL
    # surely worse, and yet within the margin: that is no PASS
    nearly = exchanged(exchanged(labelled_run(), "stable", share=0.98), "candidate")
    assert judge(nearly).verdict is Word.INVALID
    # as wrong as stable is, and harmed by what needs no label
    run = exchanged(labelled_run(), "stable", "candidate")
    slow = replace(run.evidence.candidate, latency=run.evidence.candidate.latency + 0.5)
    verdict = judge(replace(run, evidence=replace(run.evidence, candidate=slow)))
    assert (verdict.verdict, verdict.reason.startswith(EQUAL[2])) == (Word.FAIL, True)


@pytest.mark.parametrize(
    ("gate", "invalid"),
    [
        ("accuracy >= stable - 5pp", True),
        ("accuracy[segment=new] >= stable - 50pp", True),
        # an answer that is wrong is not usable
        ("goodput >= stable - 5%", True),
        # whatever the labels mean
        ("p50 <= stable + 25ms", False),
        ("throughput >= stable - 5%", False),
        ("agreement >= 90%", False),
    ],
)
def test_gates_that_read_no_label_are_judged_whatever_labels_mean(gate, invalid):
    run = exchanged(labelled_run(), "stable", "candidate")
    run = replace(run, experiment=Run(gates=(gate,)).experiment())
    verdict = judge(run)
    assert (verdict.verdict is Word.INVALID) is invalid, verdict.reason


def test_a_candidate_that_died_fails_whatever_labels_mean():
    run = exchanged(labelled_run(), "stable", "candidate")
    died = run.facts.versions | {Role.CANDIDATE: VersionFacts(died="it was killed")}
    verdict = judge(replace(run, facts=run.facts.model_copy(update={"versions": died})))
    assert verdict.verdict is Word.FAIL
    assert "died under load" in verdict.reason


def of_classes(said: np.ndarray, labels: np.ndarray):
    """A run whose versions both answer ``said`` to the row of each label, by number."""
    made = Run(arrivals=len(labels), rows=len(labels), gates=EQUAL)
    labels, said = (np.char.add("class ", numbers.astype(str)) for numbers in (labels, said))
    run = replace(made.gather(), dataset=replace(made.dataset(), labels=labels))
    for role in ("stable", "candidate"):
        outcomes = getattr(run.evidence, role)
        texts = said[outcomes.row]
        right = texts == labels[outcomes.row]
        other = replace(outcomes, prediction=pa.array(texts.tolist(), pa.string()), correct=right)
        run = replace(run, evidence=replace(run.evidence, **{role: other}))
    return run


@pytest.mark.parametrize("classes", [3, 20])
def test_labels_that_are_off_by_one_are_found_among_many_classes(classes):
    labels = np.arange(3000) % classes
    # of those wrong by the model's own fault, a few are right by accident
    said = np.where(np.arange(3000) % 191 == 0, labels, (labels + 1) % classes)
    assert "less often than by chance" in judge(of_classes(said, labels)).reason


@pytest.mark.parametrize(("classes", "rows"), [(2, 100), (20, 67), (20, 300), (50, 1000)])
def test_versions_that_say_nothing_are_not_worse_than_chance(classes, rows):
    for seed in range(20):
        labels, said = np.random.default_rng(seed).integers(classes, size=(2, rows))
        assert worse_than_chance(of_classes(said, labels), harmed=False) is None


def test_a_few_rows_are_no_proof_that_labels_are_exchanged():
    assert judge(exchanged(labelled_run(20), "stable", "candidate")).verdict is not Word.INVALID


def test_nothing_answered_is_no_foreign_label():
    verdict = Run(candidate=ALWAYS_FAILING, gates=EQUAL).judge()
    assert verdict.verdict is Word.FAIL
    assert verdict.versions["candidate"].foreign_answers == 0


def test_a_few_answers_that_are_no_label_are_counted_and_shown():
    run = answering(Run(gates=EQUAL).gather(), "candidate", "<internal | error>", 0.008)
    verdict = judge(run)
    assert verdict.versions["stable"].foreign_answers == 0
    assert verdict.versions["candidate"].foreign_answers == 24
    assert verdict.versions["candidate"].foreign_examples == ("<internal | error>",)
    assert "24, such as &#39;&lt;internal | error&gt;&#39;" in to_html(verdict, run, {})
    assert "24, such as '&lt;internal \\| error>'" in to_markdown(verdict, run.experiment)


def test_a_share_of_nothing_beside_a_bound_of_nothing_divides_by_nothing():
    run = Run(Arm(accuracy=0.0), Arm(accuracy=0.0), gates=("accuracy >= 0.01%",)).gather()
    gates = tuple(replace(gate, bound=0.0) for gate in run.experiment.gates)
    odd = replace(run, experiment=run.experiment.model_copy(update={"gates": gates}))
    assert "a longer run would not settle it" in judge(odd).gates[0].reason


@pytest.mark.parametrize("gate", ["accuracy >= stable - 5pp", "f1_macro >= stable - 5pp"])
def test_two_versions_that_are_worth_nothing_are_not_equally_good(gate):
    run = Run(Arm(accuracy=0.0), Arm(accuracy=0.0), gates=(gate,)).gather()
    (found,) = judge(run).gates
    assert found.verdict is Word.INCONCLUSIVE
    assert "of both versions is 0, and what is worth nothing looks equal" in found.reason


PLACE = np.arange(ARRIVALS)


@pytest.mark.parametrize(
    ("gate", "said", "labels", "word"),
    [
        ("accuracy >= stable - 5pp", "0", (PLACE % 2).astype(str), Word.INVALID),
        # a rare class that no model finds: it may be so
        ("accuracy >= stable - 5pp", "0", (PLACE % 20 == 0).astype(int).astype(str), Word.PASS),
        # a bound of its own asks nothing of stable
        ("accuracy >= 40%", "0", (PLACE % 2).astype(str), Word.PASS),
        ("mae <= stable + 5%", lambda t: str(float(t) + 40), 50 + np.sin(PLACE), Word.INVALID),
        # labels that hardly vary, and an error of a fortieth of them
        ("mae <= stable + 5%", lambda t: str(float(t) + 0.5), 20 + 0.01 * np.sin(PLACE), Word.PASS),
    ],
)
def test_answers_that_have_nothing_to_do_with_the_labels_are_not_equally_good(gate, said, labels, word):
    task = "regression" if labels.dtype.kind == "f" else "classification"
    verdict = judge(run_of([gate], *[(says(said),)] * 2, task=task, labels=labels))
    assert verdict.verdict is word, verdict.reason


@pytest.mark.parametrize(
    ("gate", "candidate", "labels", "word"),
    [
        # stable says 1 to a tenth of the rows, and is wrong there: by accuracy the candidate is better
        ("accuracy >= stable - 1pp", "0", (PLACE % 50 == 0).astype(int).astype(str), Word.INCONCLUSIVE),
        ("agreement >= 50%", "0", (PLACE % 50 == 0).astype(int).astype(str), Word.INCONCLUSIVE),
        # an evaluation set of frauds alone: one answer is right
        ("accuracy >= stable - 1pp", "1", np.full(ARRIVALS, "1"), Word.PASS),
        # no gate asks what was answered
        ("error_rate <= stable + 1pp", "0", (PLACE % 50 == 0).astype(int).astype(str), Word.PASS),
        ("accuracy >= 40%", "0", (PLACE % 2).astype(str), Word.INCONCLUSIVE),
    ],
)
def test_one_answer_to_every_row_is_no_pass_where_stable_has_two(gate, candidate, labels, word):
    verdict = judge(run_of([gate], (says(candidate),), labels=labels))
    assert verdict.verdict is word, verdict.reason


@pytest.mark.parametrize(
    ("rows", "share", "word"),
    [
        (ARRIVALS, 0.0, Word.INCONCLUSIVE),
        # a weak model knows something
        (ARRIVALS, 0.25, Word.PASS),
        # so few rows cannot tell
        (400, 0.0, Word.PASS),
    ],
)
def test_versions_that_are_right_by_chance_alone_are_not_equally_good(rows, share, word):
    rng = np.random.default_rng(8)
    labels = rng.integers(0, 2, rows).astype(str)
    knows = (np.arange(rows) < share * rows)[PLACE % rows]
    by_chance = rng.integers(0, 2, rows).astype(str)[PLACE % rows]

    def guesses(answers):
        answers.said = np.where(knows, labels[answers.rows], by_chance).astype(object)

    verdict = judge(
        run_of(["accuracy >= stable - 20pp"], (guesses,), (guesses,), labels=labels, rows=PLACE % rows)
    )
    assert verdict.verdict is word, verdict.reason


@pytest.mark.parametrize(
    ("target", "itself"),
    [
        ({"candidate": "http://a"}, True),
        ({"candidate": "http://b"}, False),
        # two models of one server
        ({"candidate": "http://a", "stable_model": "v1", "candidate_model": "v2"}, False),
    ],
)
def test_a_server_that_was_compared_with_itself_passes_and_says_so(target, itself):
    run = run_of(["accuracy >= stable - 5pp"])
    named = run.experiment.model_copy(update={"target": Target(stable="http://a", **target)})
    verdict = judge(replace(run, experiment=named))
    assert verdict.verdict is Word.PASS
    assert ("one address" in verdict.reason) is itself
