"""The target before the load: does it answer, and what does it want to be sent?"""

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
from loadtest.experiment.target import Target
from loadtest.load.protocols import Codec, MLflow, OpenInference, Predict, SageMaker

_TIMEOUT = 5.0
_ANY_TENSOR = "input-0"


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


def reach(host: str) -> None:
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


def ask(experiment: Experiment, host: str, dataset: Dataset) -> dict[str, Codec]:
    """Ask both versions what they want to be sent, and whether they answer.

    Args:
        experiment: names the model, and the two servers where there is no gateway.
        host: base URL of the gateway.
        dataset: the evaluation set, with the features in the order in which they will be sent.

    Returns:
        The codec of each version.

    Raises:
        UsageError: the URL is none, or the features are not those of the model.
        TargetError: nothing answers there, or not in this protocol.
    """
    name, target = experiment.model.name, experiment.target
    with requests.Session() as session:
        session.trust_env = False  # no proxy
        session.verify = os.environ.get("SSL_CERT_FILE") or True
        if target is not None:
            return {role: _ask_server(session, target, role, name, dataset) for role in ROLES}
        url = base_url(host) + OpenInference.metadata_path(name)
        return {
            role: OpenInference.from_metadata(
                name,
                _json(_send(session, "GET", url, role, {MODEL_VERSION: role}), role),
                dataset.names,
            )
            for role in ROLES
        }


def _ask_server(session: requests.Session, target: Target, role: Role, name: str, dataset: Dataset) -> Codec:
    """The codec of one server of two, which has answered one row in it."""
    base, headers = base_url(target.url(role)), target.headers_of(role)
    model = target.model(role, name)
    codec: Codec
    match target.protocol:
        case "oip":
            url = base + OpenInference.metadata_path(model)
            metadata = _json(_send(session, "GET", url, role, headers), role)
            if isinstance(metadata, dict) and not metadata.get("inputs"):
                codec = OpenInference(model, _ANY_TENSOR, "FP64")  # it does not say, and takes what comes
            else:
                codec = OpenInference.from_metadata(model, metadata, dataset.names)
        case "mlflow":
            codec = MLflow(dataset.names)
        case "sagemaker":
            codec = SageMaker()
        case protocol:
            codec = Predict(protocol, model)
    url = base + codec.path
    headers = {**headers, "Content-Type": codec.content_type}
    answer = _send(session, "POST", url, role, headers, codec.encode(dataset.features[0]))
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


def _json(answer: requests.Response, role: Role) -> Any:
    url = answer.url
    try:
        return answer.json()
    except ValueError:
        raise TargetError(f"{url}: {role} does not speak the Open Inference Protocol") from None
