"""A service that runs somewhere: what it says of itself, and how it answers some rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loadtest.data.dataset import Dataset
from loadtest.errors import ExperimentError, TargetError
from loadtest.experiment.role import ROLES
from loadtest.experiment.target import Target
from loadtest.fetch import ask, get
from loadtest.load.protocols.form_fields import with_query
from loadtest.load.protocols.template import Template
from loadtest.load.protocols.template_body import parts_of

_TIMEOUT = 10.0
_DOCUMENTS = ("/openapi.json", "/swagger.json", "/apispec_1.json", "/docs.json", "/api/v1/openapi.json")
"""Where FastAPI, Flask-RESTX, Flasgger, BentoML and FastAPI's project template put it."""
_EXCERPT = 300
_KEY = dict.fromkeys((401, 403), "; give its key with --header 'Name: env:VARIABLE'")
"""What to do about a status."""


def read_openapi(url: str, headers: Mapping[str, str]) -> Any:
    """The decoded OpenAPI document of a service, or that of Swagger 2.0.

    Raises:
        TargetError: there is none at the URL, which must be plain HTTP.
    """
    said, key = [], ""
    for path in _DOCUMENTS:
        answer = get(url.rstrip("/") + path, _TIMEOUT, headers)
        if answer is None:
            raise TargetError(f"{url}: nothing answers there over plain HTTP; start the service first")
        try:
            if answer.status == 200:
                return json.loads(answer.body)
        except ValueError:
            pass
        said.append(f"{path} (HTTP {answer.status})")
        key = key or _KEY.get(answer.status, "")
    raise TargetError(
        f"{url}: no OpenAPI document at {', '.join(said)}{key}; if it is below another path, add that to "
        "--url, else say what is sent with --path and --body (any-server.md)"
    )


def columns_of(body: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Of the columns that can be sent those that a template names; all where it takes whole rows.

    Raises:
        ExperimentError: it is no template, or names another.
    """
    named = [part.column for part in parts_of(body) if not isinstance(part, str)]
    if "" in named:
        return tuple(columns)
    for name in named:
        if name not in columns:
            raise ExperimentError(f"--body: no column {name!r} can be sent ({', '.join(columns)})")
    return tuple(name for name in columns if name in named)


def answers_to(target: Target, dataset: Dataset, rows: Iterable[int]) -> dict[str, list[Any]]:
    """What both servers of a target with a template answer to some rows.

    Returns:
        By URL, the decoded answers, one per row.

    Raises:
        UsageError: a cell cannot be sent.
        TargetError: an answer is missing, not of status 200, or not JSON.
    """
    codec = Template.for_target(target, "", dataset.names, lambda _: None)
    codec.check(dataset)
    bodies = [(row, codec.body_of(dataset, row).decode()) for row in rows]
    asked: dict[str, dict[str, str]] = {}
    for role in ROLES:
        asked.setdefault(target.url(role), target.headers_of(role))
    kind = {"content-type": codec.content_type} if codec.content_type else {}
    return {
        url: [_answer(codec, url, row, body, kind | headers) for row, body in bodies]
        for url, headers in asked.items()
    }


def _answer(codec: Template, url: str, row: int, body: str, headers: Mapping[str, str]) -> Any:
    where = f"{url.rstrip('/')}{codec.path}"
    whole, content = (with_query(where, body), None) if codec.in_query else (where, body)
    answer = ask(codec.method, whole, _TIMEOUT, headers, content)
    if answer is None:
        raise TargetError(f"{where}: no answer to row {row} within {_TIMEOUT:g} s")
    if answer.status != 200:
        said = "".join(each if each.isprintable() else " " for each in answer.body[:_EXCERPT])
        key = _KEY.get(answer.status, "")
        raise TargetError(f"{where}: HTTP {answer.status} to row {row}: {said}{key}")
    try:
        return json.loads(answer.body)
    except ValueError:
        raise TargetError(f"{where}: the answer to row {row} is not JSON") from None
