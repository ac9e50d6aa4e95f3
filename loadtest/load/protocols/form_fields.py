"""A template's JSON object as the fields of a form, or of a URL's query.

::

    fields_of(b'{"age": 41, "city": "Bern", "k": null, "tag": ["a", "b"]}')
    # [("age", "41"), ("city", "Bern"), ("tag", "a"), ("tag", "b")]

https://url.spec.whatwg.org/#concept-urlencoded-serializer, https://www.rfc-editor.org/rfc/rfc7578
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import orjson

from loadtest.errors import ExperimentError
from loadtest.load.protocols.template_body import CELLS, OF_ALL, ROW, Part

# of 128 random bits: no cell has it within
_BOUNDARY = "loadproof-1d1f4a3c7be84b51a0c96a1be2f7c0d3"
_FORM, _MULTIPART = "application/x-www-form-urlencoded", f"multipart/form-data; boundary={_BOUNDARY}"
CONTENT_TYPES = {"json": "application/json", "form": _FORM, "multipart": _MULTIPART, "query": ""}
"""By the encoding; of a query there is no content."""
_LINE_ENDS = {"\r": "%0D", "\n": "%0A", '"': "%22"}


def encoded(body: bytes, encoding: str) -> bytes:
    """What a template made, as ``encoding`` has it: the body, or the query of the URL."""
    if encoding == "json":
        return body
    fields = fields_of(body)
    return _multipart(fields) if encoding == "multipart" else urlencode(fields).encode("ascii")


def with_query(path: str, query: str) -> str:
    """A path, or a URL, with a query, beside the one that it may have."""
    return f"{path}{'&' if '?' in path else '?'}{query}"


def fields_of(body: bytes) -> list[tuple[str, str]]:
    """Name and value of each field: a number as JSON has it, ``null`` not at all, a list one by one."""
    fields = []
    for name, value in orjson.loads(body).items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                fields.append((name, one if isinstance(one, str) else orjson.dumps(one).decode()))
    return fields


def _multipart(fields: Sequence[tuple[str, str]]) -> bytes:
    parts = []
    for name, value in fields:
        escaped = "".join(_LINE_ENDS.get(letter, letter) for letter in name)
        parts.append(f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{escaped}"\r\n\r\n{value}\r\n')
    return "".join([*parts, f"--{_BOUNDARY}--\r\n"]).encode()


def require_fields(parts: Sequence[Part], encoding: str) -> None:
    """Make sure that the body, filled in, is an object whose values are single ones or lists of these.

    Raises:
        ExperimentError: it is not; says why.
    """
    if encoding == "json":
        return
    kinds = {ROW: '{"a":0}', CELLS: "[0]", **dict.fromkeys(OF_ALL, "[{}]")}
    filled = "".join(part if isinstance(part, str) else kinds.get(part.kind, "0") for part in parts)
    whole: Any = orjson.loads(filled)
    if not isinstance(whole, dict):
        raise ExperimentError(
            f'[target] body: encoding = "{encoding}" takes an object with its fields, such as '
            '{{ row }} or {"age": {{ row.age }}}'
        )
    for name, value in whole.items():
        if any(isinstance(one, dict | list) for one in (value if isinstance(value, list) else [value])):
            raise ExperimentError(
                f'[target] body: {name!r} is no single value, which is all that encoding = "{encoding}" has'
            )
