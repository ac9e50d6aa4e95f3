"""Versions that are not worth a load, by their answers to the first rows."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import ExitCode
from loadtest.load.baseline.first_rows import FIRST_ROWS, FirstRows

BINARY, NAMES, PRICES, FRAUDS = ["0", "1"] * 20, ["no", "yes"] * 20, [1.5] * 40, ["1"] * 40
HALF = FIRST_ROWS // 2


def refusal(labels, answers):
    labels = np.array(labels)
    dataset = Dataset(Path("e.csv"), np.zeros((len(labels), 1)), ("x",), labels, None, pa.table({}))
    first = FirstRows("candidate", dataset, len(dataset))
    for answer in answers:
        is_error = answer is not None and answer.startswith("!")
        first.add(answer[1:] if is_error else None, None if is_error else answer)
        if refused := first.refuse():
            return refused
    return None


@pytest.mark.parametrize(
    ("labels", "answers", "message"),
    [
        # scores
        (
            BINARY,
            [f"0.{n + 11}" for n in range(FIRST_ROWS)],
            "20 of the first 20 .* scores",
        ),
        # one in four is rounded to a label
        (BINARY, ["0.91", "0.12", "0.55", "1"] * 5, "15 of the first 20 answers .*'0.91', '0.12', '0.55'"),
        # another coding, both ways
        (
            NAMES,
            ["0", "1"] * HALF,
            "'0', '1', the labels read 'no', 'yes'; write the labels as the",
        ),
        (BINARY, ["no", "yes"] * HALF, "'no', 'yes', the labels read '0', '1'"),
        # errors, as soon as there are too many
        (BINARY, ["!http 500"] * (HALF + 1), "the candidate failed 11 of the first 11 rows.*http 500"),
        (PRICES, ["!timeout"] * (HALF + 1), "failed .*timeout.*: give .load. a longer timeout"),
        # not the same letters, though they look it
        (
            ["caf\u00e9"] * 40,
            ["cafe\u0301"] * FIRST_ROWS,
            r"answers 'cafe\\u0301', the labels read 'caf\\xe9'",
        ),
        (["mabe"] * 40, ["m\u0430be"] * FIRST_ROWS, r"answers 'm\\u0430be', the labels read 'mabe'"),
        # half of what was answered is no label
        (BINARY, ["!http 500"] * HALF + ["0.5"] * HALF, "10 of the first 10 answers"),
    ],
)
def test_refused(labels, answers, message):
    refused = refusal(labels, answers)
    assert refused.exit_code == ExitCode.USAGE
    assert "\n" not in str(refused)
    assert re.search(message, str(refused))


@pytest.mark.parametrize(
    ("labels", "answers"),
    [
        (BINARY, ["0", "1"] * HALF),
        # all wrong, and yet labels
        (BINARY, ["1", "0"] * HALF),
        # half of them fail: bad, and for the load to show
        (BINARY, ["!http 500", "1"] * HALF),
        # a class that no row has, on some rows
        (BINARY, ["0", "7"] * HALF),
        # known frauds alone
        (FRAUDS, ["0"] * FIRST_ROWS),
        (PRICES, ["0.5"] * FIRST_ROWS),
        # later rows are the load's business
        (BINARY, ["1"] * FIRST_ROWS + ["!http 500"] * 100),
    ],
)
def test_worth_a_load(labels, answers):
    assert refusal(labels, answers) is None
