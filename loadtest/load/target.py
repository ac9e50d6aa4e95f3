"""The target before the load: does it answer, and what does it want to be sent?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import requests

from loadtest.errors import TargetError, UsageError
from loadtest.load.protocols import OpenInference
from loadtest.sample import VERSIONS

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
        raise UsageError(f"{host!r} is no URL of a target; give one such as http://127.0.0.1:8080")
    return host.rstrip("/")


def ask(host: str, model: str, features: Sequence[str]) -> dict[str, OpenInference]:
    """Ask both versions for the metadata of their model.

    Args:
        host: base URL of the gateway.
        model: the model's name.
        features: names of the feature columns, in the order in which they will be sent.

    Returns:
        The codec of each version.

    Raises:
        UsageError: the URL is none, or the features are not those of the model.
        TargetError: nothing answers there, or not in this protocol.
    """
    base = base_url(host)
    url = base + OpenInference.metadata_path(model)
    with requests.Session() as session:
        session.trust_env = False  # no proxy
        session.verify = os.environ.get("SSL_CERT_FILE") or True
        return {
            version: OpenInference.from_metadata(model, _metadata(session, url, version), features)
            for version in VERSIONS
        }


def _metadata(session: requests.Session, url: str, version: str) -> Any:
    try:
        answer = session.get(url, headers={"x-model-version": version}, timeout=_TIMEOUT)
    except requests.Timeout:
        raise TargetError(
            f"{url}: {version} gave no answer within {_TIMEOUT:g} s; is the version running?"
        ) from None
    except requests.exceptions.SSLError as error:
        raise TargetError(
            f"{url}: no secure connection ({error}); SSL_CERT_FILE may name another authority"
        ) from None
    except requests.RequestException:
        raise TargetError(f"{url}: nothing answers there; start the lab first, or give its URL") from None
    if answer.status_code != 200:
        raise TargetError(
            f"{url}: {version} answered HTTP {answer.status_code} ({answer.text[:200].strip()}); "
            "is it ready, and is the model's name right?"
        )
    try:
        return answer.json()
    except ValueError:
        raise TargetError(f"{url}: {version} does not speak the Open Inference Protocol") from None
