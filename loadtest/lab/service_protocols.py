"""A service that runs somewhere: which known protocol it speaks, and what it answers to some rows in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from loadtest.data.dataset import Dataset
from loadtest.errors import ExperimentError, TargetError
from loadtest.experiment.role import ROLES
from loadtest.experiment.target import Target
from loadtest.fetch import Answer, ask, get
from loadtest.load.protocols import Codec, protocol_named

_TIMEOUT = 10.0
_EXCERPT = 200
_NAMED = 5
_MODELS = ("oip", "kserve-v1", "tfserving")
"""Protocols whose paths name a model."""
_VERSION = re.compile(r"\d+(\.\w+)+\s*")


class Spoken(NamedTuple):
    """What a service speaks.

    Args:
        kind: in words.
        protocols: Loadproof's names, the likeliest first.
        models: that it lists; empty: it does not say.
    """

    kind: str
    protocols: tuple[str, ...]
    models: tuple[str, ...] = ()

    @property
    def names_models(self) -> bool:
        """Whether requests name a model."""
        return self.protocols[0] in _MODELS


def spoken_by(url: str, headers: Mapping[str, str], model: str | None) -> Spoken | None:
    """The protocol of a service at a URL of plain HTTP; None: none that is known.

    TensorFlow Serving is known by the name of a ``model`` alone, which a person gives.
    """
    base = url.rstrip("/")

    def asked(path: str, method: str = "GET") -> Answer | None:
        body = None if method == "GET" else "{}"
        more = {} if body is None else {"content-type": "application/json"}
        return ask(method, base + path, _TIMEOUT, {**headers, **more}, body)

    first = asked("/v2")
    if first is None:
        return None
    about = _decoded(first)
    listed = _names(_decoded(asked("/v1/models")))
    if isinstance(about, dict) and {"name", "version"} <= set(about):
        known = _names(_decoded(asked("/v2/models"))) or _names(
            _decoded(asked("/v2/repository/index", "POST"))
        )
        # KServe's Python server offers both; a model's own predict may read only one of them
        others = () if listed is None else ("kserve-v1",)
        return Spoken("a server of the Open Inference Protocol", ("oip", *others), known or listed or ())
    if listed is not None:
        return Spoken("a server of KServe's protocol v1", ("kserve-v1",), listed)
    if model is not None:
        status = _decoded(asked(f"/v1/models/{quote(model, safe='')}"))
        if isinstance(status, dict) and "model_version_status" in status:
            return Spoken("TensorFlow Serving", ("tfserving",), (model,))
    ping, invocations = asked("/ping"), asked("/invocations")
    # it is there, and takes no GET
    if ping is not None and ping.status == 200 and invocations is not None and invocations.status == 405:
        version = asked("/version")
        if version is not None and version.status == 200 and _VERSION.fullmatch(version.body.strip('"')):
            return Spoken(f"MLflow {version.body.strip()}", ("mlflow",))
        return Spoken("a container as SageMaker runs them", ("sagemaker",))
    return None


def _decoded(answer: Answer | None) -> Any:
    if answer is None or answer.status != 200:
        return None
    try:
        return json.loads(answer.body)
    except ValueError:
        return None


def _names(said: Any) -> tuple[str, ...] | None:
    """The models in ``{"models": ["a"]}`` or ``[{"name": "a"}]``; None: it is no such list."""
    if isinstance(said, dict):
        said = said.get("models")
    if not isinstance(said, list):
        return None
    found = [one.get("name") if isinstance(one, dict) else one for one in said]
    names = [name for name in found if isinstance(name, str)]
    return tuple(dict.fromkeys(names)) if len(names) == len(found) else None


class Answered(NamedTuple):
    """What servers answered, by URL, one prediction per row, and the columns that they were sent."""

    predictions: dict[str, list[str]]
    columns: tuple[str, ...]
    classes: tuple[str, ...] = ()
    """In the order in which answers that are scores alone were taken; empty: they are labels."""


def answered_in(target: Target, dataset: Dataset, rows: Iterable[int]) -> Answered:
    """Ask both servers of a target for some rows, in its protocol.

    ``target`` names the models where the protocol does; ``dataset`` has every column that may be sent.

    Raises:
        UsageError: the columns are not those of the model, or cannot be sent.
        TargetError: a server does not answer, or not so.
    """
    predictions: dict[str, list[str]] = {}
    columns: dict[str, None] = {}
    classes: tuple[str, ...] = ()
    for role in ROLES:
        url, headers = target.url(role), target.headers_of(role)
        if url in predictions:
            continue

        def said(path: str, url: str = url, headers: Mapping[str, str] = headers) -> Any:
            found = _decoded(get(url.rstrip("/") + path, _TIMEOUT, headers))
            if found is None:
                raise TargetError(f"{url}: does not say at {path} what the model takes; is its name right?")
            return found

        protocol = protocol_named(target.protocol)
        codec = protocol.for_target(target, target.model(role, ""), dataset.names, said)
        codec.check(dataset)
        # a tensor per column is sent by name; all else takes the columns in their order
        places = getattr(codec, "places", ()) or range(len(dataset.names))
        columns.update(dict.fromkeys(dataset.names[place] for place in places))
        where = url.rstrip("/") + codec.path
        predictions[url] = []
        for row in rows:
            body = codec.body_of(dataset, row).decode()
            answer = ask("POST", where, _TIMEOUT, {"content-type": codec.content_type, **headers}, body)
            if answer is None:
                raise TargetError(f"{where}: no answer to row {row} within {_TIMEOUT:g} s")
            text = "".join(each if each.isprintable() else " " for each in answer.body[:_EXCERPT])
            if answer.status != 200:
                raise TargetError(f"{where}: HTTP {answer.status} to row {row}: {text}")
            content = answer.body.encode()
            try:
                if (
                    codec.scores is None
                    and not _has_label(codec, content)
                    and dataset.labels.dtype.kind != "f"
                ):
                    codec = codec.scored(dataset.classes, named=True, ask=said)
                    classes = dataset.classes
                predictions[url].append(codec.read(content)[0])
            except (ValueError, ExperimentError) as error:
                raise TargetError(
                    f"{where}: the answer to row {row} is neither one prediction nor the scores of "
                    f"{', '.join(dataset.classes[:_NAMED])} ({error}; it says {text!r}); if it is "
                    "something else, write the experiment by hand (any-server.md)"
                ) from None
    return Answered(predictions, tuple(columns), classes)


def _has_label(codec: Codec, content: bytes) -> bool:
    try:
        codec.decode(content)
    except ValueError:
        return False
    return True
