"""Reading an answer: its prediction, or in a short stable phrase what is wrong with it."""

from __future__ import annotations

from loadtest.experiment.role import Role
from loadtest.load.protocols.codec import Codec, NoAnswer
from loadtest.load.sending.error_phrases import MALFORMED, NOT_AN_ANSWER, TRUNCATED
from loadtest.load.sending.http_client import Answer
from loadtest.load.sending.task_answers import NotAnswers, TaskAnswers

BROKEN = (MALFORMED, NOT_AN_ANSWER, TRUNCATED)
"""Errors of answers that came, but not whole or not readable: a server that answers so does not match."""


def read_answer(
    answer: Answer, role: Role, codec: Codec, task: TaskAnswers, not_answers: NotAnswers | None = None
) -> tuple[str | None, str | None]:
    """The error and the prediction of an answer; one of them is None.

    Args:
        answer: what came.
        role: who was asked.
        codec: of that version.
        task: what can be an answer at all.
        not_answers: takes the text of what came and is none.
    """
    if answer.error:
        return answer.error, None
    if answer.status != 200:
        return f"http {answer.status}", None
    if answer.role not in (None, role):
        return f"answered by {answer.role}", None
    try:
        told = codec.decode(answer.body)
    except NoAnswer as error:
        told = str(error)
    except ValueError:
        return MALFORMED, None
    else:
        if task.are_of(told):
            return None, told
    if not_answers is not None:
        not_answers.add(told)
    return NOT_AN_ANSWER, None
