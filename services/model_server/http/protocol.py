"""Infer requests and answers of the Open Inference Protocol v2: headers and bytes in, bytes out.

``parse`` checks a body against the version's input and outputs, strictly; ``render`` writes the answer. With
the binary extension the JSON ends where the header ``Inference-Header-Content-Length`` says and raw tensors
follow, in the order in which the JSON names them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from numpy.typing import NDArray

from contract.headers import EXPECTED_TIMEOUT_MS, JSON_LENGTH, REQUEST_ID, in_wsgi
from services.model_server.columns import Rows, read_columns
from services.model_server.errors import RequestError
from services.model_server.plain_columns import plain_columns
from services.model_server.ranked import RANKING, rectangular
from services.model_server.tensors import (
    Input,
    TensorSpec,
    from_bytes,
    from_json,
    is_finite,
    tensors_of,
    to_bytes,
)
from services.model_server.version import LoadedVersion

_REQUEST_ID, _JSON_LENGTH = in_wsgi(REQUEST_ID), in_wsgi(JSON_LENGTH)
_EXPECTED_TIMEOUT_MS = in_wsgi(EXPECTED_TIMEOUT_MS)

MAX_ID = 256
"""The longest request id in characters: recent ids are kept in memory."""
MOST_LISTS = 2**18
"""Lists and objects of a body: an empty one is three bytes there, and 90 in memory."""


@dataclass(frozen=True, slots=True)
class InferRequest:
    """One infer request, checked.

    Args:
        id: the id of its body; None where it has none.
        rows: the input: a matrix, or named columns.
        outputs: name of each wanted output, in the wanted order, and whether it is wanted as binary.
    """

    id: str | None
    rows: Rows
    outputs: Mapping[str, bool]


def request_id_of(environ: Mapping[str, Any]) -> str:
    """The id that the caller gave, or a new one where it is missing or too long to keep."""
    given = environ.get(_REQUEST_ID)
    return given if given and len(given) <= MAX_ID else os.urandom(16).hex()


def json_length_of(environ: Mapping[str, Any]) -> int | None:
    """The length of the body's JSON part where the binary extension is used.

    Raises:
        RequestError: 415 or 400, the body is of a kind that is not understood.
    """
    if environ.get("HTTP_CONTENT_ENCODING", "identity") != "identity":
        raise RequestError(415, "compressed bodies are not supported; send them without Content-Encoding")
    length = environ.get(_JSON_LENGTH)
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind not in ("", "application/json") and not (length and kind == "application/octet-stream"):
        raise RequestError(
            415,
            f"content type {kind!r} is not supported; send application/json, or application/octet-stream "
            "with Inference-Header-Content-Length",
        )
    if length is not None and not (length.isascii() and length.isdigit() and len(length) < 10):
        raise RequestError(400, f"Inference-Header-Content-Length must be a number of bytes, got {length!r}")
    return int(length) if length is not None else None


def patience_of(environ: Mapping[str, Any], default: float) -> float:
    """Seconds that the gateway waits for the answer (Envoy says so), never more than ours."""
    given = environ.get(_EXPECTED_TIMEOUT_MS, "")
    if given.isascii() and given.isdigit() and len(given) < 10 and int(given) > 0:
        return min(int(given) / 1000, default)
    return default


def parse(
    body: bytes, json_length: int | None, wanted: Input, offered: Mapping[str, TensorSpec]
) -> InferRequest:
    """Read and check the body of an infer request.

    ``json_length`` is in bytes; None: all of the body is JSON. The first of ``offered`` is the default.

    Raises:
        RequestError: 400, and what is wrong with which part; 413, it has more than ``MOST_LISTS``.
    """
    if json_length is not None and not 0 <= json_length <= len(body):
        raise RequestError(
            400, f"Inference-Header-Content-Length is {json_length}, the body has {len(body)} bytes"
        )
    binary = memoryview(b"") if json_length is None else memoryview(body)[json_length:]
    head = body if json_length is None else body[:json_length]
    if len(head) > MOST_LISTS and head.count(b"[") + head.count(b"{") > MOST_LISTS:
        raise RequestError(413, f"the body has more than {MOST_LISTS} lists and objects; send fewer rows")
    try:
        document = orjson.loads(head)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise RequestError(400, 'the body must be a JSON object such as {"inputs": [...]}')
    parameters = _parameters(document, "the request")
    return InferRequest(
        id=_id(document.get("id")),
        rows=_rows(document.get("inputs"), binary, wanted),
        outputs=_outputs(document.get("outputs"), parameters.get("binary_data_output") is True, offered),
    )


def _parameters(part: dict[str, Any], where: str) -> dict[str, Any]:
    parameters = part.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise RequestError(400, f"{where}: parameters must be an object")
    return parameters


def _id(value: object) -> str | None:
    if value is not None and not (isinstance(value, str) and len(value) <= MAX_ID):
        raise RequestError(400, f"id must be a string of at most {MAX_ID} characters")
    return value or None


def _rows(inputs: object, binary: memoryview, wanted: Input) -> Rows:
    if isinstance(inputs, list) and isinstance(wanted, tuple) and not binary:
        plain = plain_columns(inputs, wanted)
        if plain is not None:
            return plain
    if not isinstance(inputs, list) or not all(isinstance(tensor, dict) for tensor in inputs):
        first, *others = tensors_of(wanted)
        how_many = f"{len(others) + 1} tensors, the first" if others else "one tensor,"
        raise RequestError(400, f'inputs must be a list with {how_many} {{"name": "{first.name}", ...}}')
    if isinstance(wanted, tuple):
        return read_columns(inputs, wanted, binary)
    names = [tensor.get("name") for tensor in inputs]
    if names != [wanted.name]:
        raise RequestError(400, f"inputs must be exactly {[wanted.name]}, got {names}")
    tensor = inputs[0]
    if tensor.get("datatype") != wanted.datatype:
        raise wanted.wrong(f"datatype must be {wanted.datatype}, got {tensor.get('datatype')!r}")
    shape = wanted.check_shape(tensor.get("shape"))
    size = _parameters(tensor, f"input {wanted.name!r}").get("binary_data_size")
    if size is None:
        if len(binary):
            raise RequestError(400, f"{len(binary)} bytes follow the JSON that no input claims")
        return from_json(tensor.get("data"), wanted, shape)
    if "data" in tensor:
        raise wanted.wrong("give data or binary_data_size, not both")
    if size != len(binary):
        raise wanted.wrong(f"binary_data_size is {size!r}, {len(binary)} bytes follow the JSON")
    return from_bytes(binary, wanted, shape)


def _outputs(
    outputs: object, binary_by_default: bool, offered: Mapping[str, TensorSpec]
) -> Mapping[str, bool]:
    if outputs is None or outputs == []:
        return {next(iter(offered)): binary_by_default}
    if not isinstance(outputs, list) or not all(isinstance(output, dict) for output in outputs):
        raise RequestError(400, f'outputs must be a list such as [{{"name": "{next(iter(offered))}"}}]')
    chosen = {}
    for output in outputs:
        name = output.get("name")
        if not isinstance(name, str) or name not in offered:
            raise RequestError(400, f"unknown output {name!r}; this version has {', '.join(offered)}")
        if name in chosen:
            raise RequestError(400, f"output {name!r} is asked for twice")
        binary = _parameters(output, f"output {name!r}").get("binary_data", binary_by_default)
        if not isinstance(binary, bool):
            raise RequestError(400, f"output {name!r}: binary_data must be true or false")
        chosen[name] = binary
    return chosen


def render(
    version: LoadedVersion, request: InferRequest, request_id: str, results: Mapping[str, NDArray[Any]]
) -> tuple[bytes, int | None]:
    """Write the answer.

    Returns:
        The body, and the length of its JSON part where binary tensors follow (else None).
    """
    outputs = []
    raws = []
    for name, binary in request.outputs.items():
        array = rectangular(results[name]) if name == RANKING else results[name]
        tensor: dict[str, Any] = {
            "name": name,
            "datatype": version.outputs[name].datatype,
            "shape": list(array.shape),
        }
        if binary:
            raws.append(to_bytes(array, version.outputs[name].datatype))
            tensor["parameters"] = {"binary_data_size": len(raws[-1])}
        else:
            tensor["data"] = array.ravel().tolist()
        outputs.append(tensor)
    document = {
        "model_name": version.name,
        "model_version": version.version,
        "id": request_id,
        "outputs": outputs,
    }
    head = orjson.dumps(document)
    return (head + b"".join(raws), len(head)) if raws else (head, None)


def check_finite(name: str, array: NDArray[Any]) -> None:
    """Refuse an output that JSON cannot carry.

    Raises:
        RequestError: 400, the model overflowed on these inputs.
    """
    if not is_finite(array):
        raise RequestError(
            400, f"output {name!r} is not finite for this input; its values are too large for the model"
        )
