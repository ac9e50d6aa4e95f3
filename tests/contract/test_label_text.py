"""One rule for labels: what is the same label, and what stays as it is written."""

import json
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.label_text import label_text


@pytest.mark.parametrize(
    ("text", "same"),
    [
        # a whole number, as each writer has it
        ("7", [7, 7.0, "7", "7.0", "7.00", Decimal("7.00")]),
        ("7", [np.int8(7), np.uint64(7), np.float32(7), np.array(7)]),
        ("-7", [-7, -7.0, "-7", "-7.0"]),
        ("0", [0, 0.0, -0.0, "0", "-0", "-0.0", "0.00", np.float64(-0.0)]),
        # fractions: padded by a database, or not
        ("7.5", [7.5, "7.5", "7.50", np.float64(7.5), np.float32(7.5), Decimal("7.50")]),
        ("0.1", [0.1, "0.1", "0.10"]),
        ("-0.5", ["-0.5", "-0.50", -0.5]),
        # no exponent, and every digit
        ("10000000000000000", [1e16, 10**16, "10000000000000000", "10000000000000000.0"]),
        ("12345678901234567890123", [12345678901234567890123, "12345678901234567890123"]),
        # truth values, as Python, JSON and spreadsheets write them
        ("true", [True, np.bool_(True), "True", "true", "TRUE"]),
        ("false", [False, np.bool_(False), "False", "false", "FALSE"]),
        ("Größe", ["Größe", np.str_("Größe")]),
    ],
)  # fmt: skip
def test_one_label(text, same):
    assert {label_text(value) for value in same} == {text}


@pytest.mark.parametrize(
    "text",
    [
        # codes
        "01", "007", "00", "-01", "0x1F", "1E2", "06:30", "2024-01-31", "1_000", "1,5", "1.2.3", "v1.0",
        # no plain decimal number
        "+7", "7.", ".5", "--7", "", " ", "\u0667", "1 000",
        # blanks belong to a label
        " 7", "7 ", "7\n", " true",
        # words
        "tRUE", "yes", "t", "nan", "NaN", "inf", "null", "None", "NA",
    ],
)  # fmt: skip
def test_other_text_stays_as_it_is_written(text):
    assert label_text(text) == text
    assert type(label_text(np.str_(text))) is str


@pytest.mark.parametrize(
    "value",
    [None, float("nan"), float("inf"), np.float64("-inf"), Decimal("NaN"), [7], np.array([7]), {}, b"7"],
)
def test_what_is_no_label(value):
    with pytest.raises(ValueError, match="is no label"):
        label_text(value)


def test_different_labels_stay_different():
    apart = ["1", "01", "1E2", "100", "true", "1.5", "15", "-1", "yes", 0, 2.5, False]
    assert len({label_text(value) for value in apart}) == len(apart)


SCALARS = st.text() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@given(SCALARS)
def test_the_text_of_a_text_is_itself(value):
    once = label_text(value)
    assert label_text(once) == once


@given(SCALARS)
def test_a_label_survives_json(value):
    assert label_text(json.loads(json.dumps(value))) == label_text(value)


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_is_one_label_in_every_type(number):
    texts = {label_text(value) for value in (number, float(number), str(number), str(float(f"{number}.0")))}
    # pandas writes large floats with an exponent, which is text like any other
    assert {text for text in texts if "e" not in text} == {str(number)}
