"""A service that runs somewhere: what it says of itself, and how it answers some rows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from loadtest.data.dataset import Dataset
from loadtest.errors import TargetError
from loadtest.experiment.role import ROLES
from loadtest.experiment.target import Target
from loadtest.fetch import get, post
from loadtest.load.protocols.template import Template

_TIMEOUT = 10.0
_OPENAPI = "/openapi.json"
_EXCERPT = 300


def read_openapi(url: str) -> Any:
    """The decoded OpenAPI document of a service.

    Raises:
        TargetError: there is none at the URL, which must be plain HTTP.
    """
    answer = get(url.rstrip("/") + _OPENAPI, _TIMEOUT)
    if answer is None:
        raise TargetError(f"{url}: nothing answers there over plain HTTP; start the service first")
    try:
        if answer.status == 200:
            return json.loads(answer.body)
    except ValueError:
        pass
    raise TargetError(
        f"{url}{_OPENAPI}: no OpenAPI document there (HTTP {answer.status}); "
        "write [target] by hand (any-server.md)"
    )


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
    urls = dict.fromkeys(target.url(role) for role in ROLES)
    return {url: [_answer(url, codec.path, row, body) for row, body in bodies] for url in urls}


def _answer(url: str, path: str, row: int, body: str) -> Any:
    where = f"{url.rstrip('/')}{path}"
    answer = post(where, body, _TIMEOUT)
    if answer is None:
        raise TargetError(f"{where}: no answer to row {row} within {_TIMEOUT:g} s")
    if answer.status != 200:
        said = "".join(each if each.isprintable() else " " for each in answer.body[:_EXCERPT])
        raise TargetError(f"{where}: HTTP {answer.status} to row {row}: {said}")
    try:
        return json.loads(answer.body)
    except ValueError:
        raise TargetError(f"{where}: the answer to row {row} is not JSON") from None
