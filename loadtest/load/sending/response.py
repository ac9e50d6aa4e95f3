"""Reading an answer: its prediction, or in a short stable phrase what is wrong with it."""

from __future__ import annotations

from typing import NamedTuple

from loadtest.experiment.role import Role
from loadtest.load.protocols.codec import Codec
from loadtest.load.protocols.ranked_items import NoAnswer
from loadtest.load.sending.error_phrases import MALFORMED, NOT_AN_ANSWER, TRUNCATED
from loadtest.load.sending.http_client import Answer
from loadtest.load.sending.task_answers import NotAnswers, TaskAnswers

BROKEN = (MALFORMED, NOT_AN_ANSWER, TRUNCATED)
"""Errors of answers that came, but not whole or not readable: a server that answers so does not match."""


class Reading(NamedTuple):
    """The error of an answer, or its prediction, with scores, or the values of outputs, where the codec reads
    them."""

    error: str | None
    prediction: str | None = None
    scores: tuple[float, ...] | None = None


def read_answer(
    answer: Answer, role: Role, codec: Codec, task: TaskAnswers, not_answers: NotAnswers | None = None
) -> Reading:
    """What an answer says.

    ``task`` says what can be an answer at all; ``not_answers`` takes the text of what came and is none.
    """
    if wrong := _no_answer_of(answer, role):
        return Reading(wrong)
    try:
        told, scores = codec.read(answer.body)
    except NoAnswer as error:
        told = str(error)
    except ValueError:
        return Reading(MALFORMED)
    else:
        if task.are_of(told):
            return Reading(None, told, scores)
    if not_answers is not None:
        not_answers.add(told)
    return Reading(NOT_AN_ANSWER)


def read_rows(
    answer: Answer,
    role: Role,
    codec: Codec,
    task: TaskAnswers,
    count: int,
    not_answers: NotAnswers | None = None,
) -> list[Reading]:
    """As ``read_answer``, of a request of ``count`` rows: one reading per row.

    What is wrong with one of them is wrong with all.
    """
    if count == 1:
        return [read_answer(answer, role, codec, task, not_answers)]
    if wrong := _no_answer_of(answer, role):
        return [Reading(wrong)] * count
    try:
        rows = codec.read_rows(answer.body, count)
    except NoAnswer as error:
        told = str(error)
    except ValueError:
        return [Reading(MALFORMED)] * count
    else:
        foreign = [text for text, _ in rows if not task.are_of(text)]
        if not foreign:
            return [Reading(None, *row) for row in rows]
        told = foreign[0]
    if not_answers is not None:
        not_answers.add(told)
    return [Reading(NOT_AN_ANSWER)] * count


def _no_answer_of(answer: Answer, role: Role) -> str | None:
    """Why there is nothing to read; None: there is."""
    if answer.error:
        return answer.error
    if answer.status != 200:
        return f"http {answer.status}"
    return None if answer.role in (None, role) else f"answered by {answer.role}"
