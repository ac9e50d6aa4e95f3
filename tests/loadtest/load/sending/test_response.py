"""What a server may say with status 200, and whether it is an answer."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.load.protocols.kserve_v1 import KServeV1
from loadtest.load.protocols.sagemaker import SageMaker
from loadtest.load.sending.http_client import Answer
from loadtest.load.sending.response import Reading, read_answer, read_rows
from loadtest.load.sending.task_answers import MOST_KEPT, NotAnswers, TaskAnswers

NOT = "not an answer of this model"
BINARY, NAMES, PRICES = ["0", "1"], ["cat", "dog", "timeout"], [1.5, 2e9]


def task(labels, named=()):
    labels = np.array(labels)
    rows = np.zeros((len(labels), 1))
    return TaskAnswers(
        Dataset(Path("e.csv"), rows, ("x",), labels, None, pa.table({}), named_classes=tuple(named))
    )


def read(labels, codec, body, status=200):
    told = NotAnswers()
    answer = Answer(0.0, 1.0, status, body.encode(), None, None)
    found = read_answer(answer, "stable", codec, task(labels), told)
    return found.error, found.prediction, dict(told.texts)


@pytest.mark.parametrize(
    ("labels", "said", "error"),
    [
        (BINARY, 1, None),
        (BINARY, "1.0", None),
        # a class that no row has, or a score: wrong, no label, and yet an answer
        (BINARY, 7, None),
        (BINARY, 0.87, None),
        (BINARY, True, None),
        (BINARY, "", NOT),
        (BINARY, "nan", NOT),
        (BINARY, "-Infinity", NOT),
        (BINARY, "internal error", NOT),
        # text where all labels are numbers, whatever it says
        (BINARY, "yes", NOT),
        (BINARY, {"error": "out of memory"}, NOT),
        # as a framework reports what went wrong, whatever the code
        (BINARY, {"error": 1}, NOT),
        (BINARY, {"detail": "x", "code": 3}, NOT),
        (NAMES, "cat", None),
        (NAMES, "bird", None),
        # a label is an answer, whatever it means elsewhere
        (NAMES, "timeout", None),
        (NAMES, "Internal Server Error", NOT),
        (NAMES, "request timed out", NOT),
        (NAMES, "<html>502</html>", NOT),
        (NAMES, " ", NOT),
        (NAMES, "None", NOT),
        (PRICES, 12.5, None),
        (PRICES, "1e239", None),
        (PRICES, "nan", NOT),
        (PRICES, "inf", NOT),
        (PRICES, "1e999", NOT),
        (PRICES, "high", NOT),
        (PRICES, "", NOT),
        # null and lists were never an answer in the protocol
        (PRICES, None, "malformed answer"),
        (BINARY, [1, 0], "malformed answer"),
    ],
)
def test_answers_with_status_200(labels, said, error):
    read_error, prediction, told = read(labels, KServeV1("m"), json.dumps({"predictions": [said]}))
    assert read_error == error
    assert (prediction is None) == (error is not None)
    assert sum(told.values()) == (error == NOT)


def test_a_class_that_the_experiment_names_is_an_answer_though_no_row_has_it():
    assert not task(["ok", "failed"]).are_of("timed out")
    assert task(["ok", "failed"], ["ok", "failed", "timed out"]).are_of("timed out")


def test_what_was_said_is_kept_as_an_example():
    assert read(BINARY, SageMaker(), "internal error")[2] == {"internal error": 1}
    assert read(BINARY, SageMaker(), '{"error": "busy"}')[2] == {'{"error":"busy"}': 1}


def test_an_error_by_its_status_is_one_by_its_status():
    assert read(BINARY, SageMaker(), "internal error", 500) == ("http 500", None, {})


def test_a_server_that_says_something_else_each_time_does_not_fill_the_memory():
    told = NotAnswers()
    for number in range(1000):
        told.add(f"error {number} " + "x" * 1000)
    assert len(told.texts) == MOST_KEPT
    assert max(map(len, told.texts)) < 100


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (["0", 1, 1.0], None),
        # what is no answer to one row leaves none of the others in doubt: the request failed
        (["0", "nan", 1], NOT),
        ([0, 1], "malformed answer"),
        ({"error": "out of memory"}, NOT),
    ],
)
def test_an_answer_to_several_rows_is_one_to_each_or_to_none(said, error):
    told = NotAnswers()
    body = json.dumps({"predictions": said}).encode()
    found = read_rows(Answer(0.0, 1.0, 200, body, None, None), "stable", KServeV1("m"), task(BINARY), 3, told)
    if error is None:
        assert found == [Reading(None, "0"), Reading(None, "1"), Reading(None, "1")]
    else:
        assert found == [Reading(error)] * 3
    assert told.texts.total() == (error == NOT)


def test_what_is_wrong_with_a_request_of_several_rows_is_wrong_with_each():
    answer = Answer(0.0, 1.0, 503, b"{}", None, None)
    assert read_rows(answer, "stable", KServeV1("m"), task(BINARY), 2) == [Reading("http 503")] * 2
