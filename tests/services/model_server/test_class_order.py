"""Of which classes a version's probabilities are: as it says, or as its answers show."""

from types import SimpleNamespace

import numpy as np
import pytest

from services.model_server.class_order import probabilities_of

TWO = [[0.9, 0.1], [0.2, 0.8]]
THREE = [[0.8, 0.1, 0.1], [0.1, 0.7, 0.2]]


@pytest.mark.parametrize(
    ("scores", "answers", "known", "labels", "found"),
    [
        (TWO, ["b", "a"], ("b", "a"), "ab", (["b", "a"], True, "")),
        # an exported forest: single precision below 0
        ([[1 + 1e-7, -1e-7]], ["b"], ("b", "a"), "ab", (["b", "a"], True, "")),
        (TWO, ["b", "a"], None, "ab", (["b", "a"], False, "")),
        # 1.0 and "1" are one label
        (TWO, [1.0, 0.0], None, "01", (["1", "0"], False, "")),
        # nothing is the highest alone, so this label says nothing
        ([*TWO, [0.5, 0.5]], ["b", "a", "a"], None, "ab", (["b", "a"], False, "")),
        # the third is never the highest, and one label is left; then, two are
        (THREE, ["c", "a"], None, "abc", (["c", "a", "b"], False, "")),
        (THREE, ["c", "a"], None, "abcd", ([], False, "gives 3 and does not say of which class")),
        # decided by a threshold
        ([*TWO, [0.6, 0.4]], ["b", "a", "a"], None, "ab", ([], False, "gives 2 and does not say")),
        # two places with one label
        (THREE, ["a", "a"], None, "abc", ([], False, "gives 3 and does not say")),
        ([[3.0, -3.0]], ["b"], ("b", "a"), "ab", ([], True, "gives scores that are none")),
        (None, ["b"], None, "ab", ([], True, "gives none")),
    ],
)  # fmt: skip
def test_the_classes_are_those_that_it_says_or_those_of_the_highest(scores, answers, known, labels, found):
    version = SimpleNamespace(task="classification", classes=known)
    given = {"predict": np.array(answers)} | ({} if scores is None else {"predict_proba": np.array(scores)})
    classes, said, missing = probabilities_of(version, given, list(labels))
    assert (classes, said) == found[:2]
    assert missing.startswith(found[2])
    assert bool(missing) == (not classes)
