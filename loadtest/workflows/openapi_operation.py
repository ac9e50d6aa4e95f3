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
_KINDS = ("json", "form", "multipart", "query", "unsaid", "get")
"""How something is asked, the likeliest first. A handler that reads the request itself, as LitServe's, says
nothing of its body: JSON by name, then."""
_OF_SCHEMA = ("type", "format", "enum", "default", "items")
_FORMS = {"application/x-www-form-urlencoded": "form", "multipart/form-data": "multipart"}
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
    """What can be asked: where it goes, the schema of the body or of the fields, the headers that it
    requires, and how it is sent: see ``[target] encoding``."""

    path: str
    schema: dict[str, Any]
    headers: tuple[str, ...] = ()
    encoding: str = "json"
    method: str = "POST"


class ByHand(NamedTuple):
    """What a person says of the requests: ``[target]`` ``body``, ``encoding``, ``method``; None: nothing."""

    body: str | None = None
    encoding: str | None = None
    method: str | None = None

    def instead_of(self, operation: Operation) -> Operation:
        """The operation as this says that it is asked."""
        return operation._replace(
            encoding=self.encoding or operation.encoding, method=self.method or operation.method
        )


NOT_BY_HAND = ByHand()


def find_operation(document: Any, path: str | None, below: str = "") -> Operation:
    """What predicts: what is at ``path``, the only POST, or the only one whose path says so.

    A POST of JSON is preferred to a form, and this to a query; a GET must say by its path that it predicts.

    ``below`` is the path of the service's URL, which Swagger 2.0's ``basePath``, or each path, may have, too.

    Raises:
        UsageError: there is none, or several.
    """
    paths = document.get("paths") if isinstance(document, dict) else None
    if not isinstance(paths, dict):
        raise UsageError(f"/openapi.json: is no OpenAPI document; {_BY_HAND}")
    base = str(document.get("basePath") or "").rstrip("/").removeprefix(below)
    found: dict[str, dict[str, Operation]] = {kind: {} for kind in _KINDS}
    others: list[str] = []
    for each, verbs in paths.items():
        if not isinstance(verbs, dict):
            continue
        # without ``servers`` the paths of a document begin at the host
        name = base + (each.removeprefix(below) if below and each.startswith(f"{below}/") else each)
        for verb in ("post", "put", "get"):
            if isinstance(about := verbs.get(verb), dict):
                read = _Read(document, verbs, about)
                kind, operation = read.as_sent(name, verb.upper())
                if operation is not None:
                    found[kind][name] = operation
                elif _LIKELY.search(name):
                    others.append(f"{verb.upper()} {name} takes {read.instead}")
    every = {name: one for kind in reversed(_KINDS) for name, one in found[kind].items()}
    listed = ", ".join(sorted(every)) or "none"
    if path is not None:
        if path not in every:
            raise UsageError(f"--path {path}: nothing there can be asked; /openapi.json lists {listed}")
        return every[path]
    if (one := _chosen(found)) is not None:
        return one
    posts = [name for kind in _KINDS[:-1] for name in found[kind]]
    if posts:
        raise UsageError(
            f"/openapi.json: several POSTs can be asked ({', '.join(posts)}); name the one that predicts "
            "with --path"
        )
    if others:
        raise UsageError(
            f"/openapi.json: no POST takes JSON, fields or a query, and nothing else can be sent "
            f"({'; '.join(others[:3])}); add a POST that takes JSON to the service"
        )
    may = f"; if one of {listed} predicts, name it with --path" if every else ""
    raise UsageError(f"/openapi.json: no POST takes JSON{may}; {_BY_HAND}")


def _chosen(found: dict[str, dict[str, Operation]]) -> Operation | None:
    """The one that predicts; None: it is not clear."""
    for kind in _KINDS[:-1]:
        likely = [name for name in found[kind] if _LIKELY.search(name)]
        for names in (likely, [name for name in likely if not _otherwise(name)]):
            if len(names) == 1:
                return found[kind][names[0]]
        if likely:
            return None
    first = next((found[kind] for kind in _KINDS[:-1] if found[kind]), {})
    if len(first) == 1:
        return next(iter(first.values()))
    likely = [name for name in found["get"] if _LIKELY.search(name) and not _otherwise(name)]
    return found["get"][likely[0]] if len(likely) == 1 and not first else None


def _otherwise(path: str) -> bool:
    return _OTHERWISE.search(_HUMP.sub("-", path)) is not None


class _Read:
    """What an operation takes."""

    def __init__(self, document: Any, verbs: dict[str, Any], about: dict[str, Any]) -> None:
        self._document, self._about = document, about
        listed = [one for each in (verbs, about) for one in _part(each, "parameters", list)]
        self._parameters = [resolved(document, one) for one in listed]
        self._content: dict[str, Any] = _part(
            resolved(document, about.get("requestBody") or {}), "content", dict
        )
        self._says_nothing = "requestBody" not in about and not self._named("query", "path", "formData")

    def as_sent(self, path: str, method: str) -> tuple[str, Operation | None]:
        """Which of ``_KINDS`` it is, and as what it is asked; None: it cannot be."""
        headers = self.required("header")
        if "{" in path or self._named("path"):
            return "", None
        if method == "GET":
            asked = Operation(path, self._query, headers, "query", "GET")
            return "get", asked if self._query["properties"] else None
        if method != "POST":
            return "", None
        if self._json is not None:
            return "json", Operation(path, self._json, headers)
        for encoding, schema in self._forms.items():
            return encoding, None if _takes_files(self._document, schema) else Operation(
                path, schema, headers, encoding
            )
        if self._content:
            return "", None
        if self._query["properties"]:
            return "query", Operation(path, self._query, headers, "query")
        return "unsaid", Operation(path, {}, headers) if self._says_nothing else None

    @property
    def _json(self) -> dict[str, Any] | None:
        """The schema of the JSON in its body; None: it takes none."""
        for kind, about in self._content.items():
            if kind.split(";")[0].strip().lower() == "application/json":
                of_json: dict[str, Any] = _part({} if about is None else about, "schema", dict)
                return of_json
        bodies = (one for one in self._parameters if one.get("in") == "body")  # Swagger 2.0
        return next((_part(one, "schema", dict) for one in bodies), None)

    @property
    def _forms(self) -> dict[str, dict[str, Any]]:
        """The schemas of its fields, by their encoding."""
        found: dict[str, dict[str, Any]] = {}
        for kind, about in self._content.items():
            if encoding := _FORMS.get(kind.split(";")[0].strip().lower()):
                found[encoding] = _part({} if about is None else about, "schema", dict)
        if not found and self._named("formData"):  # Swagger 2.0
            multipart = "multipart/form-data" in _part(self._about, "consumes", list)
            found["multipart" if multipart else "form"] = self._fields("formData")
        return dict(sorted(found.items()))

    @property
    def _query(self) -> dict[str, Any]:
        return self._fields("query")

    def _fields(self, place: str) -> dict[str, Any]:
        """The parameters of a place as the schema of an object."""
        here = [one for one in self._parameters if one.get("in") == place]
        # Swagger 2.0 has the keywords of a schema in the parameter itself
        return {
            "type": "object",
            "properties": {
                str(one.get("name")): _part(one, "schema", dict)
                or {key: value for key, value in one.items() if key in _OF_SCHEMA}
                for one in here
            },
            "required": list(self.required(place)),
        }

    def required(self, place: str) -> tuple[str, ...]:
        return tuple(name for name, must in self._named(place).items() if must)

    @property
    def instead(self) -> str:
        """What it takes where it takes no JSON, in words."""
        if names := self._named("path"):
            return f"{', '.join(names)} in its path"
        if self._forms:
            return "a file"
        return ", ".join(self._content) or "nothing"

    def _named(self, *places: str) -> dict[str, bool]:
        return {
            str(one.get("name")): bool(one.get("required"))
            for one in self._parameters
            if one.get("in") in places and str(one.get("name")).lower() not in _IGNORED
        }


def _takes_files(document: Any, schema: dict[str, Any]) -> bool:
    """Whether a form requires a file."""
    schema = resolved(document, schema)
    fields = {name: resolved(document, one) for name, one in _part(schema, "properties", dict).items()}
    required = schema.get("required")
    return any(
        one.get("format") == "binary" or one.get("type") == "file" or "contentMediaType" in one
        for name, one in fields.items()
        if isinstance(required, list) and name in required
    )


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
