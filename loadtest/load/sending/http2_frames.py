"""Frames of HTTP/2 and blocks of headers, as far as a gRPC client needs them.

https://www.rfc-editor.org/rfc/rfc9113 and https://www.rfc-editor.org/rfc/rfc7541
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from hpack import Decoder, HPACKError

from contract.headers import MODEL_VERSION
from loadtest.load.sending.error_phrases import UnreadableError

DATA, HEADERS, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, _PADDED, PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
_TABLE_SIZE, _ENABLE_PUSH, INITIAL_WINDOW, MAX_FRAME = 1, 2, 4, 5
FRAME = struct.Struct(">IBI")
SETTING = struct.Struct(">HI")
INT = struct.Struct(">I")
FRAME_SIZE = 16384
FIRST_WINDOW = 65535
OURS = 2**30
HEADERS_AT_MOST = 65536


def field(name: str, value: bytes) -> bytes:
    """A header as HPACK writes it without its tables."""
    return b"\0" + string(name.encode("ascii")) + string(value)


def string(text: bytes) -> bytes:
    """A text as HPACK writes it without Huffman's code."""
    if len(text) < 127:
        return bytes([len(text)]) + text
    rest, size = len(text) - 127, bytearray([127])
    while rest > 127:
        size.append(rest & 127 | 128)
        rest >>= 7
    return bytes(size) + bytes([rest]) + text


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A whole frame; stream 0 is the connection."""
    return FRAME.pack(len(payload) << 8 | kind, flags, stream) + payload


# without a table of headers, blocks need no state, and each distinct one is decoded once
PREFACE = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + frame(
        SETTINGS,
        0,
        0,
        SETTING.pack(_TABLE_SIZE, 0) + SETTING.pack(_ENABLE_PUSH, 0) + SETTING.pack(INITIAL_WINDOW, OURS),
    )
    + frame(WINDOW, 0, 0, INT.pack(OURS - FIRST_WINDOW))
)


class Block(NamedTuple):
    """Of a block of headers: what matters of it; None where it is missing."""

    status: int | None
    code: int | None
    message: bytes
    role: str | None


@lru_cache(4096)
def read_block(block: bytes) -> Block:
    """Raises ``UnreadableError``."""
    decoder = Decoder(HEADERS_AT_MOST)
    decoder.header_table_size = 0
    try:
        found = {bytes(name): bytes(value) for name, value in decoder.decode(block, raw=True)}
        status, code = found.get(b":status"), found.get(b"grpc-status")
        return Block(
            None if status is None else int(status),
            None if code is None else int(code),
            unquote_to_bytes(found.get(b"grpc-message", b"")),
            found[MODEL_VERSION.encode()].decode("latin-1") if MODEL_VERSION.encode() in found else None,
        )
    except (HPACKError, ValueError) as error:
        raise UnreadableError(str(error)) from error


def unpadded(flags: int, payload: bytes) -> bytes:
    """The payload of a frame without its padding.

    Raises:
        UnreadableError: it has less than its padding.
    """
    if not flags & _PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise UnreadableError("not HTTP/2")
    return payload[1 : len(payload) - payload[0]]
