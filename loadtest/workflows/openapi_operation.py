"""Which operation of an OpenAPI document predicts, and the schema of its body; pure. Also of Swagger 2.0."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from loadtest.errors import UsageError

_LIKELY = re.compile(r"predict|score|infer|classify|invocations", re.IGNORECASE)
_OTHERWISE = re.compile(
    # those that other words have within them (profile, Germany) stand alone
    r"batch|bulk|csv|upload|proba|explain|feedback|(?<![a-z])(?:file|many|image)s?(?![a-z])",
    re.IGNORECASE,
)
_HUMP = re.compile(r"(?<=[a-z\d])(?=[A-Z])")
_DEEPEST = 20
_IGNORED = ("accept", "content-type", "authorization")
"""No parameters, as the specification has it, whatever a document says."""
_BY_HAND = "write [target] body by hand (any-server.md)"
_KEYWORDS: dict[str, type] = {
    "properties": dict,
    "enum": list,
    "anyOf": list,
    "oneOf": list,
    "allOf": list,
    "minItems": int,
    "maxItems": int,
}
_CALLED = {dict: "an object", list: "a list", int: "a whole number"}


class Operation(NamedTuple):
    """A POST that takes JSON: where it goes, the schema of its body, and the headers that it requires."""

    path: str
    schema: dict[str, Any]
    headers: tuple[str, ...] = ()


def find_operation(document: Any, path: str | None, below: str = "") -> Operation:
    """The POST that predicts: the one at ``path``, the only one, or the only one whose path says so.

    Args:
        document: decoded.
        path: which was named; None: it is found.
        below: the path of the service's URL, which Swagger 2.0 has as its ``basePath``, too.

    Raises:
        UsageError: there is none, or several.
    """
    paths = document.get("paths") if isinstance(document, dict) else None
    if not isinstance(paths, dict):
        raise UsageError(f"/openapi.json: is no OpenAPI document; {_BY_HAND}")
    base = str(document.get("basePath") or "").rstrip("/").removeprefix(below)
    found: dict[str, Operation] = {}
    unsaid: dict[str, Operation] = {}
    others: list[str] = []
    for below, verbs in paths.items():
        if not isinstance(verbs, dict):
            continue
        name = base + below
        for verb in ("post", "put", "get"):
            if isinstance(about := verbs.get(verb), dict):
                read = _Read(document, verbs, about)
                if verb == "post" and "{" not in name and read.schema is not None:
                    found[name] = Operation(name, read.schema, read.required("header"))
                elif verb == "post" and "{" not in name and read.says_nothing:
                    unsaid[name] = Operation(name, {}, read.required("header"))
                elif _LIKELY.search(name):
                    others.append(f"{verb.upper()} {name} takes {read.instead}")
    # a handler that reads the request itself, as LitServe's, says nothing of its body: JSON by name, then
    found = found or unsaid
    listed = ", ".join(sorted(found)) or "none"
    if path is not None:
        if path not in found:
            raise UsageError(f"--path {path}: no POST there takes JSON; /openapi.json lists {listed}")
        return found[path]
    likely = [name for name in found if _LIKELY.search(name)]
    for names in (list(found), likely, [name for name in likely if not _otherwise(name)]):
        if len(names) == 1:
            return found[names[0]]
    if found:
        raise UsageError(
            f"/openapi.json: several POSTs take JSON ({listed}); name the one that predicts with --path"
        )
    if others:
        raise UsageError(
            f"/openapi.json: no POST takes JSON, and nothing else can be sent ({'; '.join(others[:3])}); add "
            "a POST that takes JSON to the service"
        )
    raise UsageError(f"/openapi.json: no POST takes JSON; {_BY_HAND}")


def _otherwise(path: str) -> bool:
    return _OTHERWISE.search(_HUMP.sub("-", path)) is not None


class _Read:
    """What an operation takes."""

    def __init__(self, document: Any, verbs: dict[str, Any], about: dict[str, Any]) -> None:
        listed = [one for each in (verbs, about) for one in _part(each, "parameters", list)]
        self._parameters = [resolved(document, one) for one in listed]
        self._content: dict[str, Any] = _part(
            resolved(document, about.get("requestBody") or {}), "content", dict
        )
        self.says_nothing = "requestBody" not in about and not self._named("query", "path", "formData")

    @property
    def schema(self) -> dict[str, Any] | None:
        """Of the JSON in its body; None: it takes none."""
        for kind, about in self._content.items():
            if kind.split(";")[0].strip().lower() == "application/json":
                of_json: dict[str, Any] = _part({} if about is None else about, "schema", dict)
                return of_json
        bodies = (one for one in self._parameters if one.get("in") == "body")  # Swagger 2.0
        return next((_part(one, "schema", dict) for one in bodies), None)

    def required(self, place: str) -> tuple[str, ...]:
        return tuple(name for name, must in self._named(place).items() if must)

    @property
    def instead(self) -> str:
        """What it takes where it takes no JSON, in words."""
        if names := self._named("path"):
            return f"{', '.join(names)} in its path"
        if names := self._named("query"):
            return f"query parameters: {', '.join(names)}"
        if self._named("formData") or any("form" in kind for kind in self._content):
            return "form data"
        return ", ".join(self._content) or "nothing"

    def _named(self, *places: str) -> dict[str, bool]:
        return {
            str(one.get("name")): bool(one.get("required"))
            for one in self._parameters
            if one.get("in") in places and str(one.get("name")).lower() not in _IGNORED
        }


def _part(whole: Any, name: str, kind: type) -> Any:
    """A part of an object, empty where there is none.

    Raises:
        UsageError: it is of another kind.
    """
    part = whole.get(name) if isinstance(whole, dict) else whole
    if part is None:
        return kind()
    if not isinstance(part, kind):
        raise UsageError(
            f"/openapi.json: {name!r} is {str(part)[:40]!r}, which should be {_CALLED[kind]}; {_BY_HAND}"
        )
    return part


def checked(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without keywords that say nothing: null, and the ``required: true`` of a field.

    Raises:
        UsageError: a keyword has a value of another kind than the specification's.
    """
    for name, kind in _KEYWORDS.items():
        _part(schema, name, kind)
    return {
        name: value
        for name, value in schema.items()
        if not ((value is None and name in _KEYWORDS) or (name == "required" and not isinstance(value, list)))
    }


def resolved(document: Any, schema: Any) -> dict[str, Any]:
    """What a schema refers to within the document.

    Raises:
        UsageError: it refers to what is not there, or elsewhere, or to itself.
    """
    for _ in range(_DEEPEST):
        if not isinstance(schema, dict):
            return {}
        where = schema.get("$ref")
        if where is None:
            return schema
        if not str(where).startswith("#/"):
            raise UsageError(f"/openapi.json: {where} is another document; write [target] body by hand")
        target: Any = document
        for step in str(where)[2:].split("/"):
            step = step.replace("~1", "/").replace("~0", "~")
            target = target.get(step) if isinstance(target, dict) else None
        if target is None:
            raise UsageError(f"/openapi.json: {where} is not in it; write [target] body by hand")
        if not isinstance(target, dict):
            raise UsageError(f"/openapi.json: {where} is no object; {_BY_HAND}")
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    raise UsageError("/openapi.json: a $ref leads round in a circle; write [target] body by hand")
