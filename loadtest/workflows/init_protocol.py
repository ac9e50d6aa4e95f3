"""``loadproof init --url`` of a server whose protocol is known: nothing has to be found but the columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from contract.counted import counted
from loadtest.data.dataset import Dataset
from loadtest.errors import LoadproofError, TargetError, UsageError
from loadtest.experiment.experiment import Data, Target
from loadtest.experiment.role import ROLES
from loadtest.lab.service_protocols import Answered, Spoken, answered_in, spoken_by
from loadtest.workflows.answer_places import (
    bare_score,
    beats_one_label,
    loss,
    loss_in_words,
    may_be_regression,
    no_label,
    rows_to_try,
)
from loadtest.workflows.new_experiment import have_decimals

_HALF = 0.5
_IN_AN_EXPERIMENT = "name the right columns under [data] features"


class ByProtocol(NamedTuple):
    """What to write: the rows, the servers with their protocol, and gates beside the usual ones."""

    data: Data
    target: Target
    gates: tuple[str, ...] = ()


def by_protocol(
    sent: Target,
    given: Data,
    dataset: Dataset,
    model: str | None,
    say: Callable[[str], None],
) -> ByProtocol | None:
    """How servers of a known protocol are asked; None: it is not known.

    ``dataset`` has every column that may be sent; ``model`` is the name that a person gives.

    Raises:
        UsageError: the model or the columns are not clear.
        TargetError: a server does not answer as its protocol has it.
    """
    spoken = spoken_by(sent.stable, sent.headers_of(ROLES[0]), model)
    if model is not None and not (spoken and spoken.names_models):
        raise UsageError(f"--model {model}: {sent.stable} speaks no protocol that names models; leave it out")
    if spoken is None:
        return None
    if spoken.names_models:
        stable = _model(sent.stable, spoken.models, model)
        other = (
            spoken_by(sent.candidate, sent.headers_of(ROLES[1]), model)
            if sent.candidate != sent.stable
            else None
        )
        candidate = (
            stable if other is None or stable in other.models else _model(sent.candidate, other.models, model)
        )
        sent = sent.model_copy(update={"stable_model": stable, "candidate_model": candidate})
    say(f"{sent.stable}: is {spoken.kind}")
    sent, found = _asked(spoken, sent, dataset)
    task = "regression" if have_decimals(dataset.labels.tolist()) else "classification"
    given = given.model_copy(update={"features": found.columns, "task": task, "classes": found.classes})
    dataset = Dataset.read(given)
    answers = found.predictions[sent.stable]
    if may_be_regression(dataset) and not beats_one_label(answers, "$", dataset):
        given = given.model_copy(update={"task": "regression"})
        dataset = Dataset.read(given)
    named = f" {sent.stable_model!r}" if sent.stable_model else ""
    if dataset.labels.dtype.kind != "f" and loss(answers, dataset) == 1:
        return ByProtocol(_by_score(answers, given, sent, dataset, say), sent)
    for url, predictions in found.predictions.items():
        right = loss_in_words(predictions, dataset)
        say(f"{url}: the model{named} is {right} of {counted(len(predictions), 'row')} in {sent.protocol}")
    if not found.classes:
        return ByProtocol(given, sent)
    gate = "roc_auc >= stable - 0.02" if len(found.classes) == 2 else "log_loss <= stable + 0.05"
    say(
        f"{sent.stable}: answers with scores alone, taken as those of {', '.join(found.classes)} in this "
        f"order ([data] classes), and gated by {gate!r}"
    )
    return ByProtocol(given, sent, (gate,))


def _model(url: str, listed: Sequence[str], model: str | None) -> str:
    if model is not None:
        return model
    if len(listed) == 1:
        return listed[0]
    if listed:
        raise UsageError(f"{url}: has several models ({', '.join(listed)}); name one with --model")
    raise UsageError(f"{url}: does not list its models; name the one to ask with --model")


def _asked(spoken: Spoken, sent: Target, dataset: Dataset) -> tuple[Target, Answered]:
    """The first of the protocols in which the servers answer."""
    errors: dict[str, LoadproofError] = {}
    for protocol in spoken.protocols:
        target = sent.model_copy(update={"protocol": protocol})
        try:
            return target, answered_in(target, dataset, rows_to_try(dataset))
        except LoadproofError as error:
            errors[protocol] = error
    kind = TargetError if any(isinstance(error, TargetError) for error in errors.values()) else UsageError
    said = "; ".join(f"in {protocol}: {error}" for protocol, error in errors.items())
    raise kind(said.replace(_IN_AN_EXPERIMENT, "leave out the others with --ignore")) from None


def _by_score(
    answers: Sequence[str], given: Data, sent: Target, dataset: Dataset, say: Callable[[str], None]
) -> Data:
    """The rows, where an answer is the score of one of two classes, and no label."""
    try:
        score = bare_score([float(answer) for answer in answers], dataset)
    except ValueError:
        score = None
    if score is None or sent.protocol == "oip":
        raise no_label(answers, dataset)
    say(
        f"{sent.stable}: answers with the score of {score.classes[1]!r}, which is its label at [data] "
        f"threshold = {_HALF}; change that if the caller decides otherwise"
    )
    return given.model_copy(update={"classes": score.classes, "threshold": _HALF})
