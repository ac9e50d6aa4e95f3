"""The gRPC messages of the Open Inference Protocol v2, written and read as protobuf's wire format.

By hand, because four messages need no runtime: protobuf's Python runtime must not be older than the code that
was generated for it, and the environments that Loadproof is installed into pin it (TensorFlow, MLflow, ONNX).
The tests hold this against the generated classes.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/open_inference_grpc.proto
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from contract.datatypes import FLOATS, INTEGERS
from loadtest.data.protobuf_wire import (
    as_bytes,
    read_fields,
    read_varint,
    write_message,
    write_number,
    write_text,
)

_SIGNED = 2**63
_CONTENTS = {
    **dict.fromkeys(("INT8", "INT16", "INT32"), 2),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), 4),
    "BOOL": 1,
    "INT64": 3,
    "UINT64": 5,
    "FP32": 6,
    "FP64": 7,
    "BYTES": 8,
}
"""Fields of ``InferTensorContents``; half precision has none, and goes into the raw contents."""
_RAW = {**FLOATS, **INTEGERS, "BOOL": "?"}


def infer_request(model: str, tensors: Sequence[Mapping[str, Any]], more: Mapping[str, Any]) -> bytes:
    """A ``ModelInferRequest``.

    Args:
        model: its name.
        tensors: ``inputs`` as in JSON: name, shape, datatype, data, and parameters that are text.
        more: the other keys as in JSON: ``parameters``, ``outputs``.
    """
    raw = any(tensor["datatype"] not in _CONTENTS for tensor in tensors)
    message = write_text(1, model) + _parameters(4, more.get("parameters", {}))
    for tensor in tensors:
        message += write_message(5, _tensor(tensor, typed=not raw))
    for output in more.get("outputs", ()):
        message += write_message(6, write_text(1, output["name"]))
    if raw:
        for tensor in tensors:
            message += write_message(7, _raw(tensor["datatype"], tensor["data"]))
    return message


def infer_outputs(message: bytes) -> list[dict[str, Any]]:
    """The ``outputs`` of a ``ModelInferResponse``, as they stand in JSON.

    Raises:
        ValueError: the bytes are none.
    """
    outputs, raw = [], []
    for number, value in read_fields(message):
        if number == 5:
            outputs.append(_output(as_bytes(value)))
        elif number == 6:
            raw.append(as_bytes(value))
    if raw and len(raw) != len(outputs):
        raise ValueError(f"{len(raw)} raw contents for {len(outputs)} outputs")
    for output, content in zip(outputs, raw, strict=False):
        output["data"] = _elements(output["datatype"], content)
    return outputs


def metadata_request(model: str) -> bytes:
    """A ``ModelMetadataRequest``."""
    return write_text(1, model)


def metadata(message: bytes) -> dict[str, Any]:
    """A ``ModelMetadataResponse``, as it stands in JSON; its parameters are left out.

    Raises:
        ValueError: the bytes are none.
    """
    found: dict[str, Any] = {"name": "", "inputs": [], "outputs": []}
    for number, value in read_fields(message):
        if number == 1:
            found["name"] = as_bytes(value).decode()
        elif number in (4, 5):
            tensor = _output(as_bytes(value))
            del tensor["data"]
            found["inputs" if number == 4 else "outputs"].append(tensor)
    return found


def _output(message: bytes) -> dict[str, Any]:
    name, datatype, shape, data = "", "", [], []
    for number, value in read_fields(message):
        if number == 1:
            name = as_bytes(value).decode()
        elif number == 2:
            datatype = as_bytes(value).decode()
        elif number == 3:
            shape += _integers(value)
        elif number == 5:
            data += _contents(as_bytes(value))
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def _contents(message: bytes) -> list[Any]:
    """The elements of an ``InferTensorContents``, of which one field is filled."""
    found: list[Any] = []
    for number, value in read_fields(message):
        if number == 8:
            found.append(as_bytes(value).decode())
        elif number in (6, 7):
            size, code = (4, "f") if number == 6 else (8, "d")
            content = as_bytes(value)
            if len(content) % size:
                raise ValueError("the message breaks off")
            found += struct.unpack(f"<{len(content) // size}{code}", content)
        elif number == 1:
            found += map(bool, _integers(value))
        elif number in (4, 5):
            found += _unsigned(value)
        elif number in (2, 3):
            found += _integers(value)
    return found


def _unsigned(value: int | bytes) -> list[int]:
    """A repeated integer, packed or alone."""
    if isinstance(value, int):
        return [value]
    found, at = [], 0
    while at < len(value):
        number, at = read_varint(value, at)
        found.append(number)
    return found


def _integers(value: int | bytes) -> list[int]:
    return [number - 2 * _SIGNED if number >= _SIGNED else number for number in _unsigned(value)]


def _elements(datatype: str, content: bytes) -> list[Any]:
    """What stands in raw contents."""
    if datatype == "BYTES":
        texts, at = [], 0
        while at < len(content):
            (size,) = struct.unpack_from("<I", content.ljust(at + 4, b"\xff"), at)
            if at + 4 + size > len(content):
                raise ValueError("the message breaks off")
            texts.append(content[at + 4 : at + 4 + size].decode())
            at += 4 + size
        return texts
    if datatype not in _RAW:
        raise ValueError(f"datatype {datatype}")
    elements: list[Any] = np.frombuffer(content, _RAW[datatype]).tolist()
    return elements


def _tensor(tensor: Mapping[str, Any], *, typed: bool) -> bytes:
    datatype, data = tensor["datatype"], tensor["data"]
    message = write_text(1, tensor["name"]) + write_text(2, datatype)
    message += write_message(3, b"".join(map(write_number, tensor["shape"])))
    message += _parameters(4, tensor.get("parameters", {}))
    if not typed:
        return message
    if datatype == "BYTES":
        content = b"".join(write_message(8, cell.encode()) for cell in data)
    elif datatype in ("FP32", "FP64"):
        content = write_message(_CONTENTS[datatype], _raw(datatype, data))
    else:
        content = write_message(_CONTENTS[datatype], b"".join(map(write_number, data)))
    return message + write_message(5, content)


def _raw(datatype: str, data: Iterable[Any]) -> bytes:
    if datatype == "BYTES":
        texts = [cell.encode() for cell in data]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return np.array(data, _RAW[datatype]).tobytes()


def _parameters(field: int, texts: Mapping[str, str]) -> bytes:
    return b"".join(
        write_message(field, write_text(1, name) + write_message(2, write_text(3, text)))
        for name, text in texts.items()
    )
