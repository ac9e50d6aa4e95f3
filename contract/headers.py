"""The headers that client, gateway and model server read of each other."""

REQUEST_ID = "x-request-id"
"""Kept as it came, made where it is missing, returned."""

MODEL_VERSION = "x-model-version"
"""In a request: the role that must answer. In an answer: the role that did."""

USER_ID = "x-user-id"
"""Whose request it is: the canary's split goes by user."""

REQUEST_START = "x-request-start"
"""When the gateway had the request: ``t=`` and seconds since 1970."""

EXPECTED_TIMEOUT_MS = "x-envoy-expected-rq-timeout-ms"
"""How long the gateway waits for the answer."""

JSON_LENGTH = "inference-header-content-length"
"""Bytes of JSON before the binary tensors of the Open Inference Protocol."""

CANARY_STEP = "x-canary-step"
"""Set by the gateway on users' own, unpinned requests: the step of the canary that they are evidence of."""

CANARY_ARM = "x-canary-arm"
"""Set by the gateway beside the step: the role that the split chose, whoever answers in the end."""

FEEDBACK_TOKEN = "x-feedback-token"  # noqa: S105 - a header's name
"""In feedback: that it comes from the lab's owner (``feedback_token``)."""

SHADOW = "x-shadow"
"""Set by the gateway on mirrored requests: one of ``shadow.MARKS``."""

TRACEPARENT = "traceparent"
"""Of which trace a request is (W3C trace context); kept as it came."""


def in_wsgi(header: str) -> str:
    """The key of a header in a WSGI environment: ``HTTP_X_REQUEST_ID``."""
    return "HTTP_" + header.upper().replace("-", "_")
