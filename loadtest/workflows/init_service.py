"""``loadproof init --url``: an experiment for services that run, read from their OpenAPI document.

The place of the prediction is found by asking: of all values in the answers, the one that agrees best with
the labels of the rows that were sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from pydantic import ValidationError

from contract.counted import counted
from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, TargetError, UsageError
from loadtest.experiment.experiment import Data, Experiment, Target
from loadtest.experiment.role import ROLES
from loadtest.lab.service_answers import answers_to, columns_of, read_openapi
from loadtest.workflows.answer_places import (
    Scores,
    bare_score,
    beats_one_label,
    best_place,
    loss_in_words,
    may_be_regression,
    no_label,
    object_around,
    outputs_beside,
    rows_to_try,
    scores_beside,
    value_at,
)
from loadtest.workflows.init_protocol import by_protocol
from loadtest.workflows.new_experiment import have_decimals, read_rows, write_experiment
from loadtest.workflows.openapi import Body, write_body
from loadtest.workflows.openapi_operation import NOT_BY_HAND, ByHand, Operation, find_operation

_HALF = 0.5
_WAYS = {
    "form": ", as the fields of a form",
    "multipart": ", as the fields of a form in parts",
    "query": ", as the query of a {}",
}

Say = Callable[[str], None]


def init_service(
    urls: Sequence[str],
    data: Path,
    say: Say,
    *,
    label: str | None = None,
    ignore: Sequence[str] = (),
    path: str | None = None,
    headers: Sequence[str] = (),
    by_hand: ByHand = NOT_BY_HAND,
    model: str | None = None,
    out: Path | None = None,
) -> Path:
    """Write an experiment that compares two services, or one with itself; its path.

    Args:
        urls: of stable and, if there are two, of the candidate; plain HTTP.
        data: the labelled evaluation set.
        say: where it says what it did, a line at a time.
        label: its label column; None: ``label``.
        ignore: columns that are no features.
        path: of the operation that predicts; None: it is found.
        headers: as ``[target] headers``.
        by_hand: what is sent, where a document does not say so; with a ``path`` none is read.
        model: its name, of a server whose protocol names models.
        out: the experiment; None: the name of ``data``, with ``.toml``, here.

    Raises:
        UsageError: it cannot be written, or the evaluation set does not fit the service.
        TargetError: a service does not answer as it should.
    """
    out = out or Path(f"{data.stem}.toml")
    if out.exists():
        raise UsageError(f"{out}: exists already; delete it, or name another file with --out")
    if not 1 <= len(urls) <= 2:
        raise UsageError("--url is given once or twice: stable and the candidate")
    dataset = read_rows(Data(path=data, label=label), ignore)
    if not dataset.labelled:
        raise DatasetError(
            f"{data}: no column 'label'; which value of an answer is the prediction is found by the labels. "
            "Name their column with --label"
        )
    kinds = {name: _kind(dataset.columns[name].type) for name in dataset.names}
    try:
        sent = Target(stable=urls[0], candidate=urls[-1], protocol="template", headers=tuple(headers))
    except ValidationError as error:
        raise UsageError(
            f"--url, --header: {error.errors()[0]['msg'].removeprefix('Value error, ')}"
        ) from None
    if path is None and by_hand == NOT_BY_HAND:
        known = by_protocol(sent, Data(path=data, label=label), dataset, model, say)
        if known is not None:
            for note in dataset.notes:
                say(f"{data}: {note}")
            return _written(out, known.data, known.target, say, known.gates)
    elif model is not None:
        raise UsageError(
            "--model goes without --path, --body, --encoding and --method, which say what is asked"
        )
    if path is not None and by_hand.body is not None:
        operation = Operation(path, {})
    else:
        document = read_openapi(urls[0], sent.headers_of(ROLES[0]))
        operation = find_operation(document, path, urlsplit(urls[0]).path.rstrip("/"))
        _check_headers(operation, sent)
    operation = by_hand.instead_of(operation)
    if by_hand.body is not None:
        body = Body(by_hand.body, list(columns_of(by_hand.body, list(kinds))))
    else:
        body = write_body(document, operation, kinds)
        _check_cells(dataset, body)
    given = Data(
        path=data,
        label=label,
        features=tuple(body.columns),
        task="regression" if have_decimals(dataset.labels.tolist()) else "classification",
    )
    dataset = Dataset.read(given)
    for note in dataset.notes:
        say(f"{data}: {note}")
    update = {"path": operation.path, "body": body.template, "answer": "$"}
    if operation.encoding != "json":
        update["encoding"] = operation.encoding
    if operation.method != "POST":
        update["method"] = operation.method
    try:
        sent = Target.model_validate(sent.model_dump() | update)
    except ValidationError as error:
        about = error.errors()[0]
        raise UsageError(f"--{about['loc'][0]}: {about['msg']}") from None
    rows = rows_to_try(dataset)
    try:
        answers = answers_to(sent, dataset, rows)
    except TargetError as error:
        if by_hand.body is not None:
            raise
        if body.template == "{{ row }}":
            remedy = "leave out columns that are no features with --ignore, or say what it takes with --body"
        else:
            remedy = f"it was sent {body.template}; if it takes something else, say so with --body"
        raise TargetError(f"{error}; {remedy}") from None
    way = _WAYS.get(operation.encoding, "").format(operation.method)
    say(f"{operation.path}: is sent {body.template}{way}")
    if body.left_out:
        say(f"{operation.path}: not sent, as they are optional: {', '.join(body.left_out)}")
    place = best_place(answers[urls[0]], dataset)
    by_chance = place is None or not beats_one_label(answers[urls[0]], place, dataset)
    if by_chance and may_be_regression(dataset):
        given = given.model_copy(update={"task": "regression"})
        dataset = Dataset.read(given)
        place = best_place(answers[urls[0]], dataset)
    if place is None:
        given, target = _by_score(answers, given, sent, dataset, say)
    else:
        for url, given_back in answers.items():
            found = [value_at(one, place) for one in given_back]
            say(f"{url}: {place} is {loss_in_words(found, dataset)} of {counted(len(rows), 'row')}")
        target = sent.model_copy(update={"answer": place})
        given, target = _and_more(answers[urls[0]], given, target, dataset, say)
    return _written(out, given, target, say)


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_string(kind):
        return "text"
    return "bool" if pa.types.is_boolean(kind) else "number"


def _check_cells(dataset: Dataset, body: Body) -> None:
    """What the service would refuse is refused here, before the load."""
    for name in body.required:
        if gaps := dataset.columns[name].null_count:
            raise DatasetError(
                f"{dataset.path}: column {name!r} has {counted(gaps, 'gap')}, and the service takes no null "
                "there; fill gaps as the caller in production does"
            )
    for name, choices in body.choices.items():
        allowed = {str(choice) for choice in choices if choice is not None}
        for cell in dataset.values_of(name):
            if cell and cell not in allowed:
                raise DatasetError(
                    f"{dataset.path}: column {name!r} reads {cell!r}, the service takes "
                    f"{', '.join(sorted(allowed))}"
                )


def _check_headers(operation: Operation, target: Target) -> None:
    given = {header.partition(":")[0].lower() for header in target.headers}
    for name in operation.headers:
        if name.lower() not in given:
            raise UsageError(
                f"{operation.path}: the service requires the header {name}; give it as --header "
                f"'{name}: env:VARIABLE'"
            )


def _by_score(
    answers: Mapping[str, Sequence[Any]], given: Data, sent: Target, dataset: Dataset, say: Say
) -> tuple[Data, Target]:
    """What to write where the answer is the score of one of two classes, and no label."""
    score = bare_score(answers[sent.stable], dataset)
    if score is None:
        raise no_label(answers[sent.stable], dataset)
    for url, given_back in answers.items():
        found = [value_at(one, score.path) for one in given_back]
        labels = [isinstance(one, int | float) and score.classes[one >= _HALF] for one in found]
        say(
            f"{url}: {score.path} as the score of {score.classes[1]!r} is {loss_in_words(labels, dataset)} "
            f"of {counted(len(found), 'row')} at [data] threshold = {_HALF}; change that if the caller "
            "decides otherwise"
        )
    update = {"classes": score.classes, "threshold": _HALF}
    return given.model_copy(update=update), sent.model_copy(update={"answer": score.path})


def _and_more(
    answers: Sequence[Any], given: Data, target: Target, dataset: Dataset, say: Say
) -> tuple[Data, Target]:
    """The same with what stands beside the prediction: scores of classes, further outputs of a regression."""
    if given.task == "regression":
        around, name = object_around(str(target.answer))
        numbers = [
            field.name
            for field in dataset.columns.schema
            if field.name not in (*given.features, given.label_column)
            and (pa.types.is_integer(field.type) or pa.types.is_floating(field.type))
        ]
        others = outputs_beside(answers, str(target.answer), numbers)
        if not others:
            return given, target
        say(
            f"{target.path}: {around} has columns of the evaluation set beside it ({', '.join(others)}), and "
            f"[data.outputs] names them; gate one as in 'mae[output={others[0]}] <= stable + 5%'"
        )
        outputs = {name: given.label_column, **{other: other for other in others}}
        return given.model_copy(update={"outputs": outputs}), target.model_copy(update={"answer": around})
    scores = scores_beside(answers, str(target.answer), dataset.classes)
    if scores is None:
        return given, target
    say(f"{target.path}: {_about_scores(scores, dataset)}")
    update = {"classes": scores.classes} if scores.classes else {}
    return given.model_copy(update=update), target.model_copy(update={"scores": scores.path})


def _about_scores(scores: Scores, dataset: Dataset) -> str:
    of = f", of {', '.join(scores.classes)}" if scores.classes else ""
    known = len(dataset.classes) == 2 and (scores.classes or dataset.is_positive_last)
    gate = "roc_auc >= stable - 0.02" if known else "log_loss <= stable + 0.05"
    return f"scores stand at {scores.path}{of}; gate them as in '{gate}'"


def _written(out: Path, data: Data, target: Target, say: Say, more: Sequence[str] = ()) -> Path:
    if target.candidate == target.stable:
        say(f"{target.stable} is the only service so far: it will be compared with itself")
    name = re.sub(r"[^A-Za-z0-9._-]", "-", out.stem).lstrip("._-") or "service"
    parts: dict[str, Any] = {
        "model": {"name": name, "folder": "."},
        "data": {
            "path": str(data.path),
            "label": data.label_column,
            **({"task": data.task} if data.task != "classification" else {}),
            "features": list(data.features),
            **({"classes": list(data.classes)} if data.classes else {}),
            **({"threshold": data.threshold} if data.threshold is not None else {}),
            **({"outputs": data.outputs} if data.outputs else {}),
        },
        "target": {
            key: value
            for key in (
                *("protocol", "stable", "candidate", "stable_model", "candidate_model", "path"),
                *("body", "encoding", "method", "answer", "scores"),
            )
            if (value := getattr(target, key)) is not None
        }
        | ({"headers": list(target.headers)} if target.headers else {}),
        "load": {"rate": 50, "duration": "60s"},
    }
    if more:
        usual = Experiment.parse({"name": name, **parts}, str(out)).gates
        parts["gates"] = [*map(str, usual), *more]
    about = "May the candidate go live? docs/any-server.md explains [target], docs/experiments.md the rest."
    write_experiment(out, name, about, parts)
    return out
