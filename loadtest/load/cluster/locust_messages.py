"""What Locust's master hears: whatever reaches its port must not end the greenlet that hears all workers.

Locust (2.47) ends it with the first bytes that are no message of its own, or a message without its data, and
the master is deaf from then on. It has no hook for this, so its two functions are replaced, for the process.
"""

from __future__ import annotations

import logging

import msgpack  # type: ignore[import-untyped]
from locust.rpc.protocol import Message
from locust.runners import MasterRunner

logger = logging.getLogger(__name__)

_read = Message.unserialize
_handle = MasterRunner.handle_message


def survive_strangers() -> None:
    """Have a master that is made from now on pass over what is no message, and what speaks for another."""
    Message.unserialize = staticmethod(_read_or_refuse)  # type: ignore[method-assign]
    MasterRunner.handle_message = _handle_or_drop  # type: ignore[method-assign]


def _read_or_refuse(data: bytes) -> Message:
    """The message.

    Raises:
        msgpack.ExtraData: it is none; of all errors Locust takes this one for that.
    """
    try:
        message: Message = _read(data)  # type: ignore[no-untyped-call]  # locust is partly untyped
    except Exception as error:
        raise msgpack.ExtraData(None, data[:100]) from error
    if not isinstance(message.type, str) or not isinstance(message.node_id, str):
        raise msgpack.ExtraData(None, data[:100])
    return message


def _handle_or_drop(self: MasterRunner, client_id: str, msg: Message) -> None:
    # a connection has its name for itself as long as it lasts; what a message says of it anybody can write
    if msg.node_id != client_id:
        logger.warning("a message of %r speaks for %r; it is ignored", client_id[:100], msg.node_id[:100])
        return
    try:
        _handle(self, client_id, msg)
    except Exception as error:
        logger.warning(
            "a message %r of %r is not one of Locust's (%s); it is ignored",
            msg.type[:100], client_id[:100], type(error).__name__,
        )  # fmt: skip
