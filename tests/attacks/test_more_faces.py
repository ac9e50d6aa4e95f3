"""Three more faces of each trouble that once got a wrong verdict, and the verdict that each must get.

The page shows the table. A row is judged without a load: from made samples, from bytes on the wire, or from
files.
"""

import errno
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from loadtest.experiment.role import Role
from tests.attacks.made_runs import (
    ARRIVALS,
    caches,
    fails,
    of_another_row,
    queues,
    says,
    slowed,
    times_out,
    uncompared,
    wrong_on,
)
from tests.attacks.observers import (
    SEEN,
    answered,
    ascii_terminal,
    died,
    half_sent,
    judged,
    latest,
    of_another_run,
    of_its_own,
    parsed,
    stepped,
    stored,
    swapped_beside_an_absurd_answer,
)

PAGE = Path(__file__).parents[2] / "docs" / "what-cannot-fool-it.md"
NAMES = np.array(["cat", "dog"])[np.arange(ARRIVALS) % 2]
TEN = np.arange(ARRIVALS) % 10
HUNDRED = np.arange(ARRIVALS) % 100
BLANKS = np.array(["no", "yes", "no ", "yes "])[np.arange(ARRIVALS) % 4]
ONE_ROW = np.where(np.arange(ARRIVALS) % 5 == 0, np.arange(ARRIVALS) // 5 + 2, 1)
BY_ROW = (np.arange(ARRIVALS) % 2).astype(str)
RARE = np.where(np.arange(ARRIVALS) % 50 == 0, "1", "0")
COINS = np.random.default_rng(3).integers(0, 2, ARRIVALS).astype(str)
SIZES = np.random.default_rng(3).normal(50, 10, ARRIVALS)
POSITIVE = {"segment": np.where(np.arange(ARRIVALS) % 2 == 0, "none", "some")}


class Face(NamedTuple):
    """One more way in which it shows: what it must come to, what must be said, and how to see it."""

    face: str
    verdict: str
    says: str
    observe: Callable[[Path], SEEN]


FACES: dict[str, tuple[Face, Face, Face]] = {
    "both versions are broken alike": (
        Face(
            "both answer the number of a class where the labels are names",
            "INVALID",
            "no label",
            judged(
                "accuracy >= stable - 1pp",
                *[(says(lambda t: "1" if t == "dog" else "0"),)] * 2,
                labels=NAMES,
            ),
        ),
        Face(
            "both call each class by the other's name",
            "INVALID",
            "less often than by chance",
            judged("accuracy >= stable - 1pp", *[(says(lambda t: "1" if t == "0" else "0"),)] * 2),
        ),
        Face(
            "both answer for twenty seconds of sixty, then nothing",
            "INVALID",
            "stable failed",
            judged("error_rate <= stable + 1pp", *[(fails(1.0, since=20),)] * 2),
        ),
    ),
    "a cache is warm": (
        Face(
            "300 rows, five times each: nearly all that is measured was asked before",
            "INCONCLUSIVE",
            "first asks",
            judged(
                "p50 <= stable + 10ms",
                (caches(0.001, 0.060),),
                rows=np.arange(ARRIVALS) % 300,
                labels=BY_ROW[:300],
                asked_before=True,
            ),
        ),
        Face(
            "one row in five is slow, and the cache keeps those alone",
            "FAIL",
            "first asks",
            judged(
                "p90 <= stable + 20ms",
                (caches(0.010, 0.200, of=lambda rows: rows % 10 < 2),),
                asked_before=True,
            ),
        ),
        Face(
            "stable has a cache too, before a model that is six times as fast",
            "FAIL",
            "first asks",
            judged(
                "p50 <= stable + 10ms",
                (caches(0.001, 0.060),),
                (caches(0.001, 0.010),),
                asked_before=True,
            ),
        ),
    ),
    "a failure counts as fast": (
        Face(
            "3 of 10 requests are refused within a millisecond",
            "FAIL",
            "",
            judged("p95 <= stable + 10%", (fails(0.3),)),
        ),
        Face(
            "2 of 100 requests to either version are not answered in time",
            "INCONCLUSIVE",
            "",
            judged("p99 <= stable + 10%", (times_out(0.02),), (times_out(0.02),)),
        ),
        Face(
            "nothing is answered in the last twelve seconds; how often that happens one event does not tell",
            "INCONCLUSIVE",
            "",
            judged("p90 <= stable + 10%", (times_out(1.0, since=48),)),
        ),
    ),
    "both versions are useless alike": (
        Face(
            "both answer one number to every row",
            "INVALID",
            "to every row",
            judged("mae <= stable + 2%", *[(says("2"),)] * 2, task="regression"),
        ),
        Face(
            "both answer in cents, the labels are in euros",
            "INVALID",
            "another unit",
            judged("mae <= stable + 2%", *[(says(lambda t: str(100 * float(t))),)] * 2, task="regression"),
        ),
        Face(
            "the labels of half of the rows end in a blank",
            "INVALID",
            "differ from the label only by blanks",
            judged("accuracy >= stable - 20pp", *[(says(lambda t: t.strip()),)] * 2, labels=BLANKS),
        ),
    ),
    "answers do not depend on the row": (
        Face(
            "a cache with the URL alone as its key gives every row the first answer; 2% of the labels differ",
            "INCONCLUSIVE",
            "to every row, and stable something else to 1",
            judged("accuracy >= stable - 1pp", (says("0"),), labels=RARE),
        ),
        Face(
            "both take the columns in another order, and are right as often as a coin",
            "INCONCLUSIVE",
            "no more than chance",
            judged("accuracy >= stable - 1pp", *[(of_another_row(),)] * 2, labels=COINS),
        ),
        Face(
            "both answer a number to the row before",
            "INCONCLUSIVE",
            "rank correlation",
            judged("mae <= stable + 2%", *[(of_another_row(),)] * 2, task="regression", labels=SIZES),
        ),
    ),
    "a gate proves nothing": (
        Face(
            "every version meets it: `accuracy >= 0`", "exit code 2", "every version", parsed("accuracy >= 0")
        ),
        Face(
            "every version meets it: `error_rate <= 100%`",
            "exit code 2",
            "every version",
            parsed("error_rate <= 100%"),
        ),
        Face(
            "the versions are sent the label",
            "exit code 2",
            "the label, which no model knows",
            parsed("accuracy >= 50%", features=["x", "label"]),
        ),
    ),
    "rows repeat": (
        Face(
            "ten rows, 150 times each",
            "INCONCLUSIVE",
            "",
            judged("accuracy >= stable - 5pp", rows=TEN, labels=BY_ROW[:10]),
        ),
        Face(
            "a hundred rows, and a column that is not sent makes each line of the file another one",
            "INCONCLUSIVE",
            "",
            judged(
                "accuracy >= stable - 5pp",
                (wrong_on(lambda rows: np.isin(rows % 100, (11, 33, 55))),),
                labels=BY_ROW,
                features=HUNDRED,
                columns={"id": np.arange(ARRIVALS)},
            ),
        ),
        Face(
            "four arrivals of five ask for one row, which the candidate gets wrong; the gate is on goodput",
            "FAIL",
            "",
            judged(
                "goodput >= stable - 5%",
                (wrong_on(lambda rows: rows == 1),),
                rows=ONE_ROW,
                labels=BY_ROW,
            ),
        ),
    ),
    "answers change under load": (
        Face(
            "one batch in a hundred gives a request its neighbour's answer",
            "FAIL",
            "differ from the baseline",
            judged("mismatches == 0", (says("x", share=0.01, matches=False),)),
        ),
        Face(
            "half of the answers have no baseline answer to be held against",
            "INCONCLUSIVE",
            "could be compared",
            judged("mismatches == 0", (uncompared(0.5),)),
        ),
        Face(
            "all answers are exchanged, and one absurd number widens their spread",
            "all are found",
            "",
            swapped_beside_an_absurd_answer,
        ),
    ),
    "an error has status 200": (
        Face("an empty list of answers", "an error", "", answered('{"predictions": []}')),
        Face("a batch's three answers to one row", "an error", "", answered('{"predictions": [0, 1, 1]}')),
        Face("the page of a proxy, in HTML", "an error", "", answered("<html><h1>Sign in</h1></html>")),
    ),
    "the generator is in trouble": (
        Face("it may open no more files", "INVALID", "ulimit", of_its_own(OSError(errno.EMFILE, "x"))),
        Face(
            "a name is not resolved now and then",
            "INVALID",
            "resolver",
            of_its_own(socket.gaierror(socket.EAI_AGAIN, "x")),
        ),
        Face("it sends half of what it was to send", "INVALID", "", half_sent),
    ),
    "there is nothing to divide by": (
        Face(
            "recall of a slice in which nobody is positive",
            "exit code 2",
            "",
            judged("recall[segment=none] >= stable - 5pp", columns=POSITIVE),
        ),
        Face(
            "precision of versions that never say yes",
            "INCONCLUSIVE",
            "",
            judged("precision >= stable - 5pp", *[(says("0"),)] * 2),
        ),
        Face(
            "answers of 1e200, whose square is no number",
            "INCONCLUSIVE",
            "",
            judged("rmse <= stable + 10%", (says("1e200", share=0.01),), task="regression"),
        ),
    ),
    "something breaks after the load": (
        Face(
            "`results/latest` is a link to itself",
            "the verdict stands",
            "",
            latest(lambda path: path.symlink_to(path.name)),
        ),
        Face(
            "`results/latest` is a file", "the verdict stands", "", latest(lambda path: path.write_text(""))
        ),
        Face("the terminal takes ASCII alone", "the verdict stands", "", ascii_terminal),
    ),
    "a file lies": (
        Face(
            "a request was done before it was sent",
            "exit code 2",
            "before it was sent",
            stored(lambda one: one._replace(role="candidate", done_at=0.5)),
        ),
        Face("the same sample stands there twice", "exit code 2", "same version", stored(lambda one: one)),
        Face("samples.parquet is another run's", "exit code 2", "not what was measured", of_another_run),
    ),
    "a clock is wrong": (
        Face("the machine's clock is set back by an hour", "it goes on", "", stepped(-3600.0)),
        Face("it is set to next year", "it goes on", "", stepped(3.2e7)),
        Face(
            "an arrival is later than its request",
            "exit code 2",
            "before its",
            stored(lambda one: one._replace(role="candidate", sent_at=0.9)),
        ),
    ),
    "a version dies": (
        Face(
            "the candidate accepts requests and answers none from half-way on",
            "FAIL",
            "",
            judged("error_rate <= stable + 1pp", (times_out(1.0, since=30),)),
        ),
        Face(
            "it is killed once and started again: three seconds of refused connections",
            "INCONCLUSIVE",
            "",
            judged(
                "error_rate <= stable + 1pp",
                (fails(1.0, phrase="connection refused", since=30, until=33),),
            ),
        ),
        Face(
            "it dies, and stable answers nothing either",
            "INVALID",
            "stable",
            judged("error_rate <= stable + 1pp", (fails(1.0),), (fails(1.0),), versions=died(Role.CANDIDATE)),
        ),
    ),
    "stable has a bad moment": (
        Face(
            "it is slow for ten seconds of sixty, and the candidate takes 20% longer at all other times",
            "INCONCLUSIVE",
            "stable was slow",
            judged("p95 <= stable + 10%", (slowed(times=1.2),), (slowed(0.19, since=30, until=40),)),
        ),
        Face(
            "it refuses everything for three seconds, and the candidate fails 2% all the time",
            "INCONCLUSIVE",
            "",
            judged("error_rate <= stable + 0.5pp", (fails(0.02),), (fails(1.0, since=30, until=33),)),
        ),
        Face(
            "it is cold for the first quarter, and the candidate takes 20% longer",
            "FAIL",
            "",
            judged("p50 <= stable + 10%", (slowed(times=1.2),), (slowed(0.19, until=15),)),
        ),
    ),
    "a version is slower than the rate": (
        Face(
            "it serves 22 of 25 requests a second",
            "FAIL",
            "over-saturated",
            judged("p50 <= stable + 10%", (queues(22.0),)),
        ),
        Face(
            "it slows down half-way, to less than the rate",
            "INCONCLUSIVE",
            "over-saturated",
            judged("p50 <= stable + 10%", (queues(18.0, since=30),)),
        ),
        Face(
            "it refuses at once what it cannot serve",
            "FAIL",
            "",
            judged("goodput >= stable - 5%", (fails(0.2),)),
        ),
    ),
}
"""By the trouble: three faces."""
ROWS = [(trouble, face) for trouble, faces in FACES.items() for face in faces]


def test_the_page_shows_these_faces():
    shown = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| ([^|]+?) \|$", PAGE.read_text("utf-8"), re.M)
    assert [row for row in shown if row[0] in FACES] == [(t, f.face, f.verdict) for t, f in ROWS]


@pytest.mark.parametrize(("trouble", "face"), ROWS, ids=[face.face for _, face in ROWS])
def test_the_verdict(tmp_path, trouble, face):
    word, said = face.observe(tmp_path)
    assert (word, face.says in said) == (face.verdict, True), f"{trouble}: {word} {said}"
