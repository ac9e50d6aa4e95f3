"""The target: its servers' URLs, whether they answer and what they take, and a client for each role."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import requests

from contract.headers import MODEL_VERSION
from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, ExperimentError, TargetError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.load.protocols import Codec, protocol_named
from loadtest.load.protocols.codec import NoScores
from loadtest.load.protocols.form_fields import with_query
from loadtest.load.protocols.oip import OpenInference
from loadtest.load.sending.first_request import FIRST_ROW, FirstAnswer, excerpt, opened, send
from loadtest.load.sending.grpc_calls import GrpcCalls
from loadtest.load.sending.grpc_client import GrpcClient
from loadtest.load.sending.http_client import Client
from loadtest.load.sending.timed_client import TimedClient, TimedGrpcClient

_TIMEOUT = 5.0


def base_url(host: str) -> str:
    """The target's URL without a trailing slash.

    Raises:
        UsageError: it is not an http or https URL.
    """
    parts = urlsplit(host)
    try:
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise UsageError(f"{host!r} is not the URL of a target; give one such as http://127.0.0.1:8080")
    return host.rstrip("/")


def check_reachable(host: str) -> None:
    """Open a connection to a target, to see whether this machine can: a worker may stand elsewhere.

    Raises:
        UsageError: the URL is none.
        TargetError: there is no way from here.
    """
    parts = urlsplit(base_url(host))
    address = (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
    try:
        socket.create_connection(address, _TIMEOUT).close()
    except OSError as error:
        raise TargetError(
            f"{host} cannot be reached from {socket.gethostname()} ({error.strerror or error}); "
            "start the worker with --target and the URL that it has there"
        ) from None


def ask_target(experiment: Experiment, host: str, dataset: Dataset) -> dict[Role, Codec]:
    """Ask all versions what they want to be sent, and whether they answer; the codec of each.

    ``dataset`` has the features in the order in which they will be sent.

    Raises:
        UsageError: the URL is none, the protocol unknown, or the features are not those of the model or
            would not arrive as they are.
        TargetError: nothing answers there, or not in this protocol.
    """
    with opened() as session:
        return {role: _ask(session, role, experiment, host, dataset) for role in experiment.roles}


def _ask(session: requests.Session, role: Role, experiment: Experiment, host: str, dataset: Dataset) -> Codec:
    name, target = experiment.model.name, experiment.target
    if target is None:
        # the gateway of a lab; its servers say what they take
        url = base_url(host) + OpenInference.metadata_path(name)
        metadata = _json(send(session, "GET", url, role, {MODEL_VERSION: role}), role, OpenInference)
        taken = OpenInference.from_metadata(name, metadata, dataset.names)
        _check(taken, role, dataset)
        return _reading(taken, experiment, dataset, role, lambda _: metadata)
    protocol = protocol_named(target.protocol)
    base, headers = base_url(target.url(role)), target.headers_of(role)
    if protocol.transport == "grpc":
        return _ask_grpc(role, experiment, protocol, dataset)

    def ask(path: str) -> Any:
        return _json(send(session, "GET", base + path, role, headers), role, protocol)

    codec = protocol.for_target(target, target.model(role, name), dataset.names, ask)
    _check(codec, role, dataset)
    codec = _reading(codec, experiment, dataset, role, ask)
    url = base + codec.path
    headers_of_a_row = {**headers, **({"Content-Type": codec.content_type} if codec.content_type else {})}

    def post(body: bytes) -> FirstAnswer:
        whole, content = (with_query(url, body.decode()), b"") if codec.in_query else (url, body)
        return send(session, codec.method, whole, role, headers_of_a_row, content)

    _try(codec, post(codec.body_of(dataset, 0)), role)
    _try_rows(codec, experiment, dataset, role, post)
    return codec


def _check(codec: Codec, role: Role, dataset: Dataset) -> None:
    """Both roles' models may have one name, so an error names the role."""
    try:
        codec.check(dataset)
    except DatasetError as error:
        raise DatasetError(f"{role}: {error}") from None


def _ask_grpc(role: Role, experiment: Experiment, protocol: type[Codec], dataset: Dataset) -> Codec:
    target = experiment.target
    assert target is not None  # noqa: S101 - for the type checker
    model = target.model(role, experiment.model.name)
    calls = GrpcCalls(base_url(target.url(role)), target.headers_of(role), role, FIRST_ROW)
    with closing(calls):

        def ask(path: str) -> Any:
            return calls.metadata(path, model)

        codec = protocol.for_target(target, model, dataset.names, ask)
        _check(codec, role, dataset)
        codec = _reading(codec, experiment, dataset, role, ask)

        def call(body: bytes) -> FirstAnswer:
            url, message = calls.call(codec.path, body)
            return FirstAnswer(url, message)

        _try(codec, call(codec.body_of(dataset, 0)), role)
        _try_rows(codec, experiment, dataset, role, call)
    return codec


def _try_rows(
    codec: Codec, experiment: Experiment, dataset: Dataset, role: Role, send: Callable[[bytes], FirstAnswer]
) -> None:
    """Make sure that a version answers as many rows at once as the largest requests have."""
    count = experiment.load.most_rows
    if count == 1:
        return
    logged = experiment.load.replay is not None
    try:
        codec.check_several(count)
    except ExperimentError as error:
        if not logged:
            raise
        raise ExperimentError(
            f"the log has requests of up to {count} rows: {error}; or set [load] split_rows = true"
        ) from None
    if not logged:
        experiment.load.check_request_sizes(len(dataset))
    body = codec.encode_rows([codec.cells_of(dataset, row) for row in range(count)])
    try:
        codec.read_rows(send(body).content, count)
    except (TargetError, ValueError) as error:
        remedy = (
            "set [load] split_rows = true"
            if logged
            else "make [load] rows_per_request smaller, or leave it out"
        )
        raise TargetError(f"{role} answers one row, and not {count} at once ({error}); {remedy}") from None


def _try(codec: Codec, answer: FirstAnswer, role: Role) -> None:
    """Make sure that an answer to a row can be read."""
    try:
        codec.read(answer.content)
    except ValueError as error:
        if codec.named:
            raise ExperimentError(f"{answer.url}: [data.outputs], {role}: {error}") from None
        if codec.scores is not None:
            raise ExperimentError(
                f"{answer.url}: {role} gives no scores that can be read ({error}); {codec.scores_remedy}, or "
                "gate accuracy instead"
            ) from None
        raise TargetError(
            f"{answer.url}: {role} does not answer in the protocol {codec.protocol} ({error}; it says "
            f"{excerpt(answer.content, 60)!r}); {codec.remedy}"
        ) from None


def _reading(
    codec: Codec, experiment: Experiment, dataset: Dataset, role: Role, ask: Callable[[str], Any]
) -> Codec:
    """The codec, which reads rankings where answers are ones, and scores or outputs where they are needed."""
    if dataset.ranked:
        try:
            return codec.ranked(ask)
        except ExperimentError as error:
            raise ExperimentError(f"{role}: {error}") from None
    if named := tuple(experiment.data.outputs):
        try:
            return codec.with_outputs(named, ask)
        except ExperimentError as error:
            raise ExperimentError(f"[data.outputs], {role}: {error}") from None
    if not experiment.scored:
        return codec
    threshold = experiment.data.threshold
    try:
        reader = codec.scored(dataset.classes, named=bool(dataset.named_classes), ask=ask)
    except ExperimentError as error:
        asking = next((gate for gate in experiment.gates if experiment.needs_scores(gate)), None)
        why, remedy = f"[data] threshold = {threshold}", "leave it out"
        if asking:
            # there may be no labels to go by
            instead = "agreement >= 99%" if asking.entry.compares_versions else "accuracy"
            why, remedy = f"gate {asking.expression!r}", f"gate {instead} instead"
        more = f"; {remedy}" if isinstance(error, NoScores) else ""
        raise ExperimentError(f"{why}, {role}: {error}{more}") from None
    return replace(reader, scores=replace(reader.reader, threshold=threshold))


def _json(answer: FirstAnswer, role: Role, protocol: type[Codec]) -> Any:
    try:
        return json.loads(answer.content)
    except ValueError:
        raise TargetError(f"{answer.url}: {role} does not speak the protocol {protocol.protocol}") from None


def client_of(role: Role, experiment: Experiment, host: str, codec: Codec, *, timed: bool = False) -> Client:
    """A client of one version, whose answers have ``timings`` or not.

    Raises:
        UsageError: a URL is none, or a variable with a header's value is not set.
    """
    target, timeout = experiment.target, experiment.load.timeout
    http, grpc = (TimedClient, TimedGrpcClient) if timed else (Client, GrpcClient)
    if target is None:
        return http(host, timeout)
    url, headers = base_url(target.url(role)), target.headers_of(role)
    kind = grpc if codec.transport == "grpc" else http
    return kind(
        url,
        timeout,
        headers,
        pins=False,
        content_type=codec.content_type,
        method=codec.method,
        in_query=codec.in_query,
    )


def clients_of(experiment: Experiment, host: str, codecs: Mapping[Role, Codec]) -> list[Client]:
    """The load's clients; behind a gateway they are the same one, which shares its connections."""
    roles, timed = experiment.roles, experiment.load.timings
    if experiment.target is None:
        return [client_of(roles[0], experiment, host, codecs[roles[0]], timed=timed)] * len(roles)
    return [client_of(role, experiment, host, codecs[role], timed=timed) for role in roles]
