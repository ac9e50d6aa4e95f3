"""What a service says of its requests in ``/openapi.json``, turned into a template; pure.

::

    operation = find_operation(document, None)
    body = write_body(document, operation, {"age": "number", "city": "text"})
    body.template        # '{"customer": {"age": {{ row.age }}, "city": {{ row.city }}}}'

https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtest.errors import UsageError
from loadtest.workflows.openapi_operation import Operation, checked, resolved

_DEEPEST = 20
_NUMBERS = ("number", "integer")


@dataclass
class Body:
    """A template and what was decided on the way.

    Args:
        template: for ``[target] body``.
        columns: that it sends, in the order of the evaluation set.
        left_out: optional fields without a column, by their dotted names.
        choices: the values that a field allows, by column.
        required: columns whose field takes no ``null``.
    """

    template: str = ""
    columns: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    choices: dict[str, list[Any]] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)


def write_body(document: Any, operation: Operation, kinds: Mapping[str, str]) -> Body:
    """The template of an operation's body.

    ``kinds`` are of the columns that can be sent, by name: ``number``, ``bool`` or ``text``.

    Raises:
        UsageError: a required field has no column.
    """
    writer = _Writer(document, kinds)
    template = writer.value(operation.schema, (), required=True, depth=0)
    if not writer.used and not writer.whole:
        raise UsageError(
            f"{operation.path}: its fields ({', '.join(writer.fields) or 'none'}) are no columns of the "
            f"evaluation set ({', '.join(kinds)}); rename the columns as the service calls them"
        )
    body = writer.body
    body.template = str(template)
    body.columns = [name for name in kinds if writer.whole or name in writer.used]
    return body


class _Writer:
    def __init__(self, document: Any, kinds: Mapping[str, str]) -> None:
        self._document, self._kinds = document, kinds
        self.used: set[str] = set()
        self.fields: list[str] = []
        self.whole = False
        self.body = Body()

    def value(self, schema: Any, trail: tuple[str, ...], *, required: bool, depth: int) -> str | None:
        """The JSON of a field, with holes; None: an optional one that is left out."""
        schema, nullable = self._plain(schema)
        if depth > _DEEPEST:
            raise UsageError(
                f"{_dotted(trail)}: nested more than {_DEEPEST} deep; write [target] body by hand"
            )
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, trail, required=required, depth=depth)
        if kind == "array":
            return self._array(schema, trail, required=required, depth=depth)
        self.fields.append(_dotted(trail))
        if (column := self._column(trail)) is not None:
            return self._hole(column, schema, nullable=nullable)
        if "const" in schema or len(schema.get("enum") or ()) == 1:
            return json.dumps(schema["const"] if "const" in schema else schema["enum"][0])
        if not required or "default" in schema:
            self.body.left_out.append(_dotted(trail))
            return None
        if nullable:
            return "null"
        raise UsageError(
            f"the service requires {_dotted(trail)!r}, which is no column of the evaluation set "
            f"({', '.join(self._kinds)}); rename one, or write [target] body by hand (any-server.md)"
        )

    def _hole(self, column: str, schema: Mapping[str, Any], *, nullable: bool) -> str:
        self.used.add(column)
        if "enum" in schema:
            self.body.choices[column] = list(schema["enum"])
        if not nullable:
            self.body.required.append(column)
        hole = f"{{{{ column({_quoted(column)}) }}}}"
        if column.isidentifier():
            hole = f"{{{{ row.{column} }}}}"
        # a service takes "17" for a text only in quotes
        text = _kind(schema) == "string" and self._kinds[column] != "text"
        return f'"{hole}"' if text else hole

    def _object(
        self, schema: dict[str, Any], trail: tuple[str, ...], *, required: bool, depth: int
    ) -> str | None:
        properties = schema.get("properties") or {}
        if not properties:
            if not required:
                self.body.left_out.append(_dotted(trail))
                return None
            self.whole = True
            return "{{ row }}"
        must = schema.get("required") or () if required or self._has_column(schema, trail, depth) else None
        if must is None:
            self.body.left_out.append(_dotted(trail))
            return None
        parts = []
        for name, inner in properties.items():
            part = self.value(inner, (*trail, name), required=name in must, depth=depth + 1)
            if part is not None:
                parts.append(f"{json.dumps(name)}: {part}")
        return "{" + ", ".join(parts) + "}"

    def _has_column(self, schema: Any, trail: tuple[str, ...], depth: int) -> bool:
        """Whether an optional object holds any field that the evaluation set knows."""
        schema, _ = self._plain(schema)
        properties = schema.get("properties") or {}
        return depth <= _DEEPEST and any(
            self._column((*trail, name)) is not None or self._has_column(inner, (*trail, name), depth + 1)
            for name, inner in properties.items()
        )

    def _array(
        self, schema: dict[str, Any], trail: tuple[str, ...], *, required: bool, depth: int
    ) -> str | None:
        items, nullable = self._plain(schema.get("items") or {})
        # of a list whose elements are not described, they are cells
        if items and _kind(items) in ("object", "array"):
            inner = self.value(items, trail, required=required, depth=depth + 1)
            return None if inner is None else f"[{inner}]"
        self.fields.append(_dotted(trail))
        if (column := self._column(trail)) is not None:
            # a list per column, with an element per row
            return f"[{self._hole(column, items, nullable=nullable)}]"
        if not required:
            self.body.left_out.append(_dotted(trail))
            return None
        least, most = schema.get("minItems", 0), schema.get("maxItems", len(self._kinds))
        if not least <= len(self._kinds) <= most:
            wanted = least if least == most else f"{least} to {most}"
            raise UsageError(
                f"{_dotted(trail) or 'the body'} takes {wanted} values, the evaluation set has "
                f"{len(self._kinds)} ({', '.join(self._kinds)}); name those that are none with --ignore"
            )
        self.whole = True
        return "{{ cells }}"

    def _plain(self, schema: Any) -> tuple[dict[str, Any], bool]:
        """A schema without `$ref` and wrappers, and whether ``null`` is allowed."""
        schema, nullable = resolved(self._document, schema), False
        for _ in range(_DEEPEST):
            schema = checked(schema)
            kinds = schema.get("type")
            if isinstance(kinds, list):
                nullable |= "null" in kinds
                schema = {**schema, "type": next((kind for kind in kinds if kind != "null"), "null")}
            nullable |= bool(schema.get("nullable"))
            options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
            if not options:
                return schema, nullable
            plain = [checked(resolved(self._document, option)) for option in options]
            nullable |= any(option.get("type") == "null" for option in plain)
            first = next((option for option in plain if option.get("type") != "null"), {})
            if first.get("type") == "string":  # a number beside it needs no quotes
                first = next((option for option in plain if option.get("type") in _NUMBERS), first)
            outside = {k: v for k, v in schema.items() if k not in ("anyOf", "oneOf", "allOf")}
            if "allOf" in schema:
                merged = {k: v for option in plain for k, v in (option.get("properties") or {}).items()}
                must = [name for option in plain for name in option.get("required") or ()]
                first = {**first, **({"properties": merged, "required": must} if merged else {})}
            schema = {**first, **outside}
        return schema, nullable

    def _column(self, trail: tuple[str, ...]) -> str | None:
        """The column of a field: by its dotted name, its name, or the same but for case and punctuation."""
        if not trail:
            return None
        for name in (".".join(trail), "_".join(trail), trail[-1]):
            if name in self._kinds:
                return name
        alike = [column for column in self._kinds if _bare(column) == _bare(trail[-1])]
        return alike[0] if len(alike) == 1 else None


def _kind(schema: Mapping[str, Any]) -> str:
    if schema.get("properties") or schema.get("additionalProperties"):
        return "object"
    if "type" not in schema and not any(key in schema for key in ("enum", "const", "items", "default")):
        return "object" if not schema.get("title") or schema.get("title") == "Body" else "any"
    return str(schema.get("type", "array" if "items" in schema else "any"))


def _dotted(trail: tuple[str, ...]) -> str:
    return ".".join(trail)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _quoted(name: str) -> str:
    if '"' in name:
        if "'" in name:
            raise UsageError(f"column {name!r} has both kinds of quotes in its name; rename it")
        return f"'{name}'"
    return f'"{name}"'
