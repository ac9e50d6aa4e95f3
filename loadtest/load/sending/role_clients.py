"""The client of each version: one through the gateway for both, or one for each of two servers."""

from __future__ import annotations

from collections.abc import Mapping

from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES, Role
from loadtest.load.protocols import Codec
from loadtest.load.sending.http_client import Client
from loadtest.load.sending.target_check import base_url


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
