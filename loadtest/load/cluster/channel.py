"""Locust's channel between master and workers: messages are checked, and signed where there is a token."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import msgpack  # type: ignore[import-untyped]
from pydantic import TypeAdapter, ValidationError

from loadtest.load.cluster.messages import Message

logger = logging.getLogger(__name__)

_M = TypeVar("_M", bound=Message)


class Channel:
    """``Channel(runner, token)``: sends messages and hears those that come to this process.

    A message that was not signed with the token, or lacks its type's fields, is dropped and logged once per
    sender: it must not end a run that others measure.

    ``token`` is shared by the master and its workers; None: messages are not signed.
    """

    def __init__(self, runner: Any, token: str | None = None) -> None:
        self._runner = runner
        self._key = None if token is None else token.encode()
        self._refused: set[tuple[str, str]] = set()

    def send(self, message: Message, client: str | None = None) -> None:
        """Send a message: to the master, or to the worker that Locust calls ``client``."""
        kind = _kind(type(message))
        content = msgpack.packb(message._asdict())
        data = {"content": content, "signature": self._sign(kind, content)}
        self._runner.send_message(kind, data, client)

    def listen(
        self,
        message: type[_M],
        heard: Callable[[_M, str], None],
        refused: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Hear the messages of a type.

        Args:
            message: the type.
            heard: called with each, and Locust's id of its sender (``local``: us).
            refused: called with the sender of each that is dropped.
        """
        kind, adapter = _kind(message), TypeAdapter(message)

        def take(msg: Any, **_: object) -> None:
            try:
                content, signature = msg.data["content"], msg.data["signature"]
                if not hmac.compare_digest(self._sign(kind, content), signature):
                    drop(msg.node_id, "was not signed with the token in LOADPROOF_WORKER_TOKEN")
                    return
                taken = adapter.validate_python(msgpack.unpackb(content))
            except (TypeError, LookupError, ValueError, msgpack.UnpackException) as error:
                fields = (
                    [".".join(map(str, e["loc"])) for e in error.errors()]
                    if isinstance(error, ValidationError)
                    else []
                )
                drop(msg.node_id, f"is not one of this version ({', '.join(fields) or type(error).__name__})")
                return
            heard(taken, msg.node_id)

        def drop(sender: str, why: str) -> None:
            self._log_once(sender, why)
            refused(sender)

        self._runner.register_message(kind, take)

    def _sign(self, kind: str, content: bytes) -> bytes:
        if self._key is None:
            return b""
        return hmac.digest(self._key, kind.encode() + b"\0" + content, hashlib.sha256)

    def _log_once(self, sender: str, why: str) -> None:
        if (sender, why) not in self._refused and len(self._refused) < _KEPT:
            self._refused.add((sender, why))
            logger.warning("a message of %r %s; it is ignored", sender[:100], why)


_KEPT = 1000


def _kind(message: type) -> str:
    return f"loadproof:{message.__name__}"
