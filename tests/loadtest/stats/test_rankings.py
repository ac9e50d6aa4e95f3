"""Metrics of ranked lists against the papers' formulas, written out, and against scikit-learn's NDCG."""

import math
import random
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from loadtest.data.relevance import Relevance
from loadtest.stats import rankings

SETS = 200


def drawn(seed):
    """Relevant items with gains (ties among them), and lists: empty, short, whole, with an item twice."""
    rng = random.Random(seed)
    catalogue = [f"i{number}" for number in range(rng.randint(3, 40))]
    wanted, lists = [], []
    for _ in range(rng.randint(1, 30)):
        some = rng.sample(catalogue, rng.randint(1, min(6, len(catalogue))))
        wanted.append({item: rng.choice([1, 1, 2, 3]) for item in some})
        items = rng.sample(catalogue, rng.choice([0, rng.randint(0, len(catalogue)), len(catalogue)]))
        if items and rng.random() < 0.2:
            items.insert(rng.randint(1, len(items)), items[0])
        lists.append(items)
    return catalogue, wanted, lists, rng.randint(1, 12)


def measured(name, wanted, lists, k):
    relevance = Relevance.of(wanted, Path("rows.json"), "label")
    code = {item: place for place, item in enumerate(relevance.catalogue.to_pylist())}
    items = np.array([code.get(item, -1) for each in lists for item in each], dtype=np.intp)
    lengths = np.array([len(each) for each in lists], dtype=np.intp)
    hits = rankings.Hits.find(relevance.wanted, np.arange(len(lists)), lengths, items)
    return rankings.METRICS[name](hits, relevance.wanted, len(lists), k)


def written_out(wanted, items, k):
    seen, gain, precisions, first = set(), 0.0, [], 0.0
    for rank, item in enumerate(items[:k], 1):
        if item in wanted and item not in seen:
            gain += wanted[item] / math.log2(rank + 1)
            precisions.append((len(precisions) + 1) / rank)
            first = first or 1 / rank
        seen.add(item)
    best = sum(g / math.log2(r + 1) for r, g in enumerate(sorted(wanted.values(), reverse=True)[:k], 1))
    return {
        "ndcg": gain / best,
        "hit": float(bool(precisions)),
        "mrr": first,
        "recall": len(precisions) / len(wanted),
        "map": sum(precisions) / len(wanted),
    }


@pytest.mark.parametrize("name", rankings.METRICS)
def test_every_metric_is_its_formula(name):
    for seed in range(SETS):
        _, wanted, lists, k = drawn(seed)
        found = measured(name, wanted, lists, k)
        expected = [written_out(*pair, k)[name] for pair in zip(wanted, lists, strict=True)]
        np.testing.assert_allclose(found, expected, atol=1e-9, rtol=0)


def test_ndcg_is_that_of_scikit_learn():
    compared = 0
    for seed in range(SETS):
        catalogue, wanted, lists, k = drawn(seed)
        found = measured("ndcg", wanted, lists, k)
        for row, (gains, items) in enumerate(zip(wanted, lists, strict=True)):
            if sorted(items) == sorted(catalogue):  # it scores every item
                truth = [[gains.get(item, 0) for item in catalogue]]
                scores = [[-items.index(item) for item in catalogue]]
                assert found[row] == pytest.approx(ndcg_score(truth, scores, k=k), abs=1e-9)
                compared += 1
    assert compared > SETS


@pytest.mark.parametrize(
    ("one", "other", "k", "share"),
    [
        (["a", "b"], ["b", "a"], 2, 1.0),  # the order does not count
        (["a", "b"], ["b", "a"], 1, 0.0),
        (["a", "b", "c"], ["a", "b"], 3, 2 / 3),  # a shorter list lacks items
        (["a", "a", "b"], ["a", "b", "c"], 3, 2 / 3),  # an item that stands twice is one item
        ([], [], 3, 1.0),
        (["a"], [], 3, 0.0),
    ],
)
def test_overlap(one, other, k, share):
    codes = [np.array([ord(item) for item in each], dtype=np.intp) for each in (one, other)]
    lengths = [np.array([len(each)], dtype=np.intp) for each in (one, other)]
    assert rankings.overlap(tuple(lengths), tuple(codes), k) == pytest.approx([share])
