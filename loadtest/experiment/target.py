"""A target: two servers that already run, by their URLs, instead of a lab.

::

    [target]
    protocol = "mlflow"
    stable = "https://models.example.com/v1"
    candidate = "https://models.example.com/v2"
    headers = ["Authorization: env:MODELS_TOKEN"]
"""

from __future__ import annotations

import os
import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

from contract.headers import REQUEST_ID, TRACEPARENT
from loadtest.errors import UsageError
from loadtest.experiment.role import Role

TOKENS = {
    "stable": "LOADPROOF_STABLE_TOKEN",
    "candidate": "LOADPROOF_CANDIDATE_TOKEN",
    "control": "LOADPROOF_CONTROL_TOKEN",
}
"""Variables whose value is sent as a bearer token."""

_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+):\s*(\S(?:.*\S)?)")
_SECRET = re.compile(r"auth|token|key|secret|cookie|password", re.IGNORECASE)
_OURS = ("host", "content-length", "content-type", REQUEST_ID, TRACEPARENT, "transfer-encoding")


class Target(BaseModel):
    """Two servers that already run, instead of a lab.

    ``Target(stable="http://127.0.0.1:8001", candidate="http://127.0.0.1:8002")``
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stable: str
    """Base URL of the version in production."""
    candidate: str
    """Base URL of the candidate."""
    control: str | None = None
    """Base URL of a second server of the version in production, for `[load] control`."""
    protocol: str = "oip"
    """What both servers speak, such as `oip` or `mlflow` (any-server.md lists them all); `template` for a
    service of your own."""
    path: str | None = None
    """For `template`: where the requests go, below each URL, such as `/score`."""
    body: str | None = None
    """For `template`: the JSON of a request, such as `{"customer": {{ row }}, "k": 10}`."""
    answer: str | None = None
    """For `template`: the JSONPath (RFC 9535) of the prediction in an answer, such as `$.result.label`."""
    scores: str | None = None
    """For `template`: the JSONPath of the scores in an answer, such as `$.result.probabilities`. If absent:
    what `answer` selects has them, too."""
    encoding: Literal["json", "form", "multipart", "query"] | None = None
    """For `template`: how `body` is sent: as `json`; its values as the fields of a `form`, which is what
    browsers send, or of a `multipart` form; or as the `query` of the URL, and no body. If absent: `json`."""
    method: Literal["POST", "GET"] | None = None
    """For `template`: `GET` asks so, with `encoding = "query"`. If absent: `POST`."""
    stable_model: str | None = None
    """The model's name on stable's server, if it is not `[model] name`."""
    candidate_model: str | None = None
    """The model's name on the candidate's server."""
    headers: tuple[str, ...] = ()
    """`Name: value`, or `Name: env:VARIABLE` for a secret, whose value is neither printed nor stored. A
    header that looks like a secret must be given as the second."""

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: tuple[str, ...]) -> tuple[str, ...]:
        for header in headers:
            match = _HEADER.fullmatch(header)
            if not match or not header.isascii() or not header.isprintable():
                raise ValueError("a header reads 'Name: value' or 'Name: env:VARIABLE'")
            if match[1].lower() in _OURS:
                raise ValueError(f"the header {match[1]} is set by the load generator")
            if _SECRET.search(match[1]) and not match[2].startswith("env:"):
                raise ValueError(
                    f"the header {match[1]} looks like a secret, which would be stored with the run; "
                    f"write '{match[1]}: env:VARIABLE'"
                )
        return headers

    @field_validator("stable", "candidate", "control")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        if url is None:
            return url
        if "@" in url.split("//", 1)[-1].split("/", 1)[0]:
            raise ValueError("a URL with a password would be stored with the run; give a header from env:")
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is not the URL of a server; give one such as http://127.0.0.1:8001")
        return url

    @property
    def is_one_server(self) -> bool:
        """Whether stable and the candidate are one URL, and one model there."""
        return self.stable == self.candidate and self.stable_model == self.candidate_model

    def url(self, role: Role) -> str:
        """Base URL of one version."""
        if role == "control" and self.control is not None:
            return self.control
        return self.candidate if role == "candidate" else self.stable

    def model(self, role: Role, name: str) -> str:
        """What one version calls the model that the experiment calls ``name``."""
        return (self.candidate_model if role == "candidate" else self.stable_model) or name

    def headers_of(self, role: Role) -> dict[str, str]:
        """The headers of requests to one version, with what the environment holds.

        Raises:
            UsageError: a variable is not set, or its value is no header.
        """
        headers = {}
        for header in self.headers:
            name, _, value = header.partition(":")
            value = value.strip()
            headers[name] = _read(value[4:], name) if value.startswith("env:") else value
        if os.environ.get(TOKENS[role]):
            headers["Authorization"] = f"Bearer {_read(TOKENS[role], 'Authorization')}"
        return headers


def _read(variable: str, header: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise UsageError(f"the header {header} takes its value from {variable}, which is not set")
    if not value.isascii() or not value.isprintable():
        raise UsageError(f"{variable}: its value does not fit into the header {header}")
    return value
