"""The target: its servers' URLs, whether they answer and what they take, and a client for each role."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from contract.headers import MODEL_VERSION
from loadtest.data.dataset import Dataset
from loadtest.errors import TargetError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES, Role
from loadtest.load.protocols import Codec, protocol_named
from loadtest.load.protocols.oip import OpenInference
from loadtest.load.sending.http_client import Client

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

    Args:
        host: its base URL.

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
    """Ask both versions what they want to be sent, and whether they answer.

    Args:
        experiment: names the model, and the two servers where there is no gateway.
        host: base URL of the gateway.
        dataset: the evaluation set, with the features in the order in which they will be sent.

    Returns:
        The codec of each version.

    Raises:
        UsageError: the URL is none, the protocol unknown, or the features are not those of the model or
            would not arrive as they are.
        TargetError: nothing answers there, or not in this protocol.
    """
    with requests.Session() as session:
        session.trust_env = False  # no proxy
        # OpenSSL's own variable, which the connections of the load obey by themselves
        session.verify = os.environ.get("SSL_CERT_FILE") or True
        return {role: _ask(session, role, experiment, host, dataset) for role in ROLES}


def _ask(session: requests.Session, role: Role, experiment: Experiment, host: str, dataset: Dataset) -> Codec:
    name, target = experiment.model.name, experiment.target
    if target is None:
        # the gateway of a lab; its servers say what they take
        url = base_url(host) + OpenInference.metadata_path(name)
        metadata = _json(_send(session, "GET", url, role, {MODEL_VERSION: role}), role, OpenInference)
        taken = OpenInference.from_metadata(name, metadata, dataset.names)
        taken.check(dataset)
        return taken
    protocol = protocol_named(target.protocol)
    base, headers = base_url(target.url(role)), target.headers_of(role)
    codec = protocol.for_model(
        target.model(role, name),
        dataset.names,
        lambda path: _json(_send(session, "GET", base + path, role, headers), role, protocol),
    )
    codec.check(dataset)
    url = base + codec.path
    headers = {**headers, "Content-Type": codec.content_type}
    answer = _send(session, "POST", url, role, headers, codec.encode(dataset.row(0)))
    try:
        codec.decode(answer.content)
    except ValueError as error:
        raise TargetError(
            f"{url}: {role} does not answer in the protocol {target.protocol} ({error}); "
            "name another --protocol"
        ) from None
    return codec


def _send(
    session: requests.Session,
    method: str,
    url: str,
    role: Role,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> requests.Response:
    try:
        answer = session.request(
            method, url, headers=dict(headers), data=body, timeout=_TIMEOUT, allow_redirects=False
        )
    except requests.Timeout:
        raise TargetError(
            f"{url}: {role} gave no answer within {_TIMEOUT:g} s; is the version running?"
        ) from None
    except requests.exceptions.SSLError as error:
        raise TargetError(
            f"{url}: no secure connection ({error}); SSL_CERT_FILE may name another authority"
        ) from None
    except requests.RequestException:
        raise TargetError(f"{url}: nothing answers there; start the lab first, or give its URL") from None
    if answer.status_code != 200:
        raise TargetError(
            f"{url}: {role} answered HTTP {answer.status_code} ({answer.text[:200].strip()}); "
            "is it ready, and is the model's name right?"
        )
    return answer


def _json(answer: requests.Response, role: Role, protocol: type[Codec]) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise TargetError(f"{answer.url}: {role} does not speak the protocol {protocol.protocol}") from None


def client_of(role: Role, experiment: Experiment, host: str, codec: Codec) -> Client:
    """A client of one version.

    Raises:
        UsageError: a URL is none, or a variable with a header's value is not set.
    """
    target, timeout = experiment.target, experiment.load.timeout
    if target is None:
        return Client(host, timeout)
    url, headers = base_url(target.url(role)), target.headers_of(role)
    return Client(url, timeout, headers, pins=False, content_type=codec.content_type)


def clients_of(experiment: Experiment, host: str, codecs: Mapping[Role, Codec]) -> list[Client]:
    """The clients of all versions; behind a gateway they are the same one, which shares its connections."""
    if experiment.target is None:
        return [client_of(ROLES[0], experiment, host, codecs[ROLES[0]])] * len(ROLES)
    return [client_of(role, experiment, host, codecs[role]) for role in ROLES]
