"""Protobuf's wire format: its fields, as they are read and written by hand.

::

    list(read_fields(write_text(1, "a") + write_message(5, b"")))    # [(1, b"a"), (5, b"")]

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, EIGHT, LENGTH, FOUR = 0, 1, 2, 5
"""The wire types: a varint, eight bytes, what has its length before it, four bytes."""


def read_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field: an integer, or the bytes of what is not a varint.

    Raises:
        ValueError: the bytes are no message.
    """
    at, end = 0, len(message)
    while at < end:
        key, at = read_varint(message, at)
        wire = key & 7
        if wire == VARINT:
            value, at = read_varint(message, at)
            yield key >> 3, value
            continue
        if wire == LENGTH:
            size, at = read_varint(message, at)
        elif wire in (EIGHT, FOUR):
            size = 8 if wire == EIGHT else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + size > end:
            raise ValueError("the message breaks off")
        yield key >> 3, message[at : at + size]
        at += size


def read_varint(message: bytes, at: int) -> tuple[int, int]:
    """A varint, and where it ends.

    Raises:
        ValueError: there is none.
    """
    try:
        byte = message[at]
        if byte < 128:
            return byte, at + 1
        value, shift = byte & 127, 7
        while True:
            at += 1
            byte = message[at]
            value |= (byte & 127) << shift
            if byte < 128:
                return value & (2**64 - 1), at + 1
            shift += 7
            if shift > 63:
                raise ValueError("a number of more than ten bytes")
    except IndexError:
        raise ValueError("the message breaks off") from None


def as_bytes(value: int | bytes) -> bytes:
    """A field's value that must be no varint.

    Raises:
        ValueError: it is one.
    """
    if isinstance(value, int):
        raise ValueError("a number where a message is expected")
    return value


def write_text(field: int, text: str) -> bytes:
    """A field of text."""
    return write_message(field, text.encode())


def write_message(field: int, content: bytes) -> bytes:
    """A field of bytes, such as a message's."""
    return write_number(field << 3 | LENGTH) + write_number(len(content)) + content


def write_number(value: int) -> bytes:
    """A varint; negative ones have ten bytes."""
    value = int(value) & (2**64 - 1)
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)
