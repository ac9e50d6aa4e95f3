"""Signed messages to a URL: one per verdict, one per decision of the canary's controller.

They are Standard Webhooks (https://www.standardwebhooks.com, version 1.0): three headers, and an HMAC-SHA256
over ``id.timestamp.body``, so that its libraries verify them. URL and secret come from the environment alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import math
import os
import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from loadtest.canary.event import Event
from loadtest.errors import TargetError, UsageError
from loadtest.publish.destination import within
from loadtest.publish.posting import Answer, check_url, post, until_taken
from loadtest.publish.stored_verdict import StoredVerdict, document, redacted

URL, SECRET = "LOADPROOF_WEBHOOK_URL", "LOADPROOF_WEBHOOK_SECRET"
PATIENCE = 30.0
"""Seconds for one message, all attempts together."""
_AGAIN = {408, 409, 425, 429}
"""What a receiver may answer otherwise a moment later, beside 500 and above."""
_LONGEST_QUEUE = 100


class Message(NamedTuple):
    """One message: its id, which stays the same however often it is sent, and its body."""

    id: str
    body: bytes

    @classmethod
    def make(cls, kind: str, at: float, data: Mapping[str, Any], key: str | None = None) -> Self:
        """A message of a kind, such as ``verdict``; the same ``key`` makes the same id."""
        moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        body = {"type": kind, "timestamp": moment, "data": data}
        unique = uuid.uuid4().hex if key is None else hashlib.sha256(key.encode()).hexdigest()[:32]
        return cls(f"msg_{unique}", json.dumps(body, allow_nan=False, separators=(",", ":")).encode())

    def headers(self, secret: bytes, at: int) -> dict[str, str]:
        """The headers of an attempt at ``at`` seconds since 1970, signed with ``secret``."""
        signed = b".".join((self.id.encode(), str(at).encode(), self.body))
        signature = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
        return {
            "content-type": "application/json",
            "user-agent": "loadproof",
            "webhook-id": self.id,
            "webhook-timestamp": str(at),
            "webhook-signature": f"v1,{signature}",
        }


class Webhook:
    """Posts messages to one URL.

    Of ``url`` only the host is ever printed; ``secret`` is the key of the signature, 24 to 64 bytes. ``post``
    sends one request (URL, body, headers, seconds) and returns the status; ``OSError`` where there is none.
    """

    name = "the webhook"
    retry = "--webhook"

    def __init__(
        self,
        url: str,
        secret: bytes,
        post: Callable[[str, bytes, dict[str, str], float], int] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url, self._secret = url, secret
        self._post, self.clock, self._sleep = post or _post, clock, sleep
        self.host = urlsplit(url).hostname or ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Webhook | None:
        """The webhook that the environment names; None where it names none.

        Raises:
            UsageError: the URL or the secret cannot be used.
        """
        url = environment.get(URL, "")
        if not url:
            return None
        check_url(URL, url)
        return cls(url, key_of(environment.get(SECRET, "")))

    def deliver(self, stored: StoredVerdict) -> str:
        """Send a verdict; see ``Destination``."""
        message = Message.make("verdict", self.clock(), document(stored), f"{stored.run} {stored.digest}")
        self.send(message)
        return f"webhook: {self.host} has the verdict"

    def send(self, message: Message) -> None:
        """Send one message, again where that may help, within ``PATIENCE`` seconds.

        Raises:
            TargetError: it was not taken.
        """
        within(PATIENCE + 1, self.host, lambda: self._attempts(message))

    def _attempts(self, message: Message) -> str:
        until = self.clock() + PATIENCE

        def send(seconds: float) -> Answer:
            headers = message.headers(self._secret, int(self.clock()))
            return Answer(self._post(self._url, message.body, headers, seconds))

        until_taken(send, _may_help, self.host, PATIENCE, lambda: until - self.clock(), self._sleep)
        return "taken"


def _may_help(status: int) -> bool:
    return status >= 500 or status in _AGAIN


def _post(url: str, body: bytes, headers: dict[str, str], seconds: float) -> int:
    return post(url, body, headers, seconds).status


class Decisions:
    """Sends the decisions of a canary's controller, all but to hold, in turn and without it waiting.

    ``say`` takes one line, once: what was not delivered.
    """

    def __init__(self, webhook: Webhook, experiment: str, say: Callable[[str], None]) -> None:
        self._webhook, self._experiment, self._say = webhook, experiment, say
        self._told = False
        self._queue: queue.Queue[Message | None] = queue.Queue(_LONGEST_QUEUE)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def show(self, event: Event) -> None:
        """Take one event of the controller."""
        if event.decision.verb == "hold":
            return
        message = Message.make("canary.decision", self._webhook.clock(), decided(self._experiment, event))
        try:
            self._queue.put_nowait(message)
        except queue.Full:
            self._tell("too many decisions wait for it")

    def close(self) -> None:
        """Wait for what was decided last, as long as one message may take."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(PATIENCE + 2)
        if self._thread.is_alive():
            self._tell("the last decisions still wait for it")

    def _run(self) -> None:
        while (message := self._queue.get()) is not None:
            try:
                self._webhook.send(message)
            except TargetError as error:
                self._tell(str(error))

    def _tell(self, problem: str) -> None:
        if not self._told:
            self._told = True
            self._say(f"decisions are not delivered to the webhook: {problem}")


def decided(experiment: str, event: Event) -> dict[str, Any]:
    """A decision as it is sent (schema 1): figures per gate, no user and no row."""
    decision, evidence = event.decision, event.evidence
    return {
        "schema": 1,
        "experiment": experiment,
        "decision": decision.verb,
        "split": decision.split,
        "at_s": round(event.at, 3),
        "reason": redacted(decision.why),
        "alarms": [{"gate": one.gate, "evidence": _finite(one.evidence)} for one in evidence.alarms],
        "shown": [{"gate": one.gate, "shown": [_finite(x) for x in one.shown]} for one in evidence.proofs],
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def key_of(secret: str) -> bytes:
    """The key of a secret, ``whsec_`` and 24 to 64 bytes in base64.

    Raises:
        UsageError: it is none; the line does not show it.
    """
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise UsageError(
            f"{URL} is set, so {SECRET} must be: 'whsec_' and 24 to 64 bytes in base64; "
            'echo "whsec_$(openssl rand -base64 32)" makes one'
        )
    return key
