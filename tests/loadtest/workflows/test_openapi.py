import pytest

from loadtest.errors import UsageError
from loadtest.workflows.openapi import write_body
from loadtest.workflows.openapi_operation import Operation, find_operation

KINDS = {"age": "number", "income": "number", "city": "text", "member": "bool"}

# as FastAPI 0.165 writes it of pydantic models: a nested model, an Enum, Optional, defaults
FASTAPI = {
    "openapi": "3.1.0",
    "paths": {
        "/health": {"get": {}},
        "/score": {
            "post": {
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Request"}}},
                    "required": True,
                }
            }
        },
    },
    "components": {
        "schemas": {
            "City": {"type": "string", "enum": ["Basel", "Bern"], "title": "City"},
            "Customer": {
                "properties": {
                    "age": {"type": "integer", "title": "Age"},
                    "income": {"anyOf": [{"type": "number"}, {"type": "null"}], "title": "Income"},
                    "city": {"$ref": "#/components/schemas/City"},
                    "member": {"type": "boolean", "title": "Member", "default": False},
                },
                "type": "object",
                "required": ["age", "city"],
                "title": "Customer",
            },
            "Request": {
                "properties": {
                    "customer": {"$ref": "#/components/schemas/Customer"},
                    "k": {"type": "integer", "title": "K", "default": 10},
                },
                "type": "object",
                "required": ["customer"],
                "title": "Request",
            },
        }
    },
}


def body_of(schema, kinds=KINDS, **schemas):
    return write_body({"components": {"schemas": schemas}}, Operation("/p", schema), kinds)


def test_nested_models_of_fastapi_become_a_template():
    operation = find_operation(FASTAPI, None)
    body = write_body(FASTAPI, operation, KINDS)
    assert operation.path == "/score"
    assert body.template == (
        '{"customer": {"age": {{ row.age }}, "income": {{ row.income }}, '
        '"city": {{ row.city }}, "member": {{ row.member }}}}'
    )
    assert (body.columns, body.left_out) == (list(KINDS), ["k"])
    assert (body.choices, body.required) == ({"city": ["Basel", "Bern"]}, ["age", "city", "member"])


NUMBERS = {"type": "array", "items": {"type": "number"}}


@pytest.mark.parametrize(
    ("schema", "template"),
    [
        # features as one array, as a batch of arrays, as a batch of objects
        ({"type": "object", "properties": {"x": NUMBERS}, "required": ["x"]}, '{"x": {{ cells }}}'),
        (
            {"type": "object", "properties": {"x": {"type": "array", "items": NUMBERS}}, "required": ["x"]},
            '{"x": [{{ cells }}]}',
        ),
        (
            {"type": "array", "items": {"properties": {"age": {"type": "integer"}}, "required": ["age"]}},
            '[{"age": {{ row.age }}}]',
        ),
        # a list per column; elements that nobody describes
        (
            {
                "properties": {
                    "age": {"type": "array", "items": {"type": "integer"}},
                    "ci-ty": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["age", "ci-ty"],
            },
            '{"age": [{{ row.age }}], "ci-ty": [{{ row.city }}]}',
        ),
        ({"properties": {"x": {"type": "array", "items": {}}}, "required": ["x"]}, '{"x": {{ cells }}}'),
        # dict[str, float], and a body that says nothing
        ({"type": "object", "additionalProperties": {"type": "number"}}, "{{ row }}"),
        ({}, "{{ row }}"),
        # a number that the service takes as text; a name that differs in case and punctuation
        ({"properties": {"age": {"type": "string"}}, "required": ["age"]}, '{"age": "{{ row.age }}"}'),
        ({"properties": {"Ci-Ty": {"type": "string"}}}, '{"Ci-Ty": {{ row.city }}}'),
        # str | float | None takes a number as it is, and null
        (
            {"properties": {"age": {"anyOf": [{"type": kind} for kind in ("string", "number", "null")]}}},
            '{"age": {{ row.age }}}',
        ),
        # what can be said without a column: a constant, an Enum of one, null
        (
            {
                "properties": {
                    "age": {"type": "integer"},
                    "kind": {"const": "a"},
                    "v": {"enum": [2]},
                    "note": {"type": ["string", "null"]},
                },
                "required": ["age", "kind", "v", "note"],
            },
            '{"age": {{ row.age }}, "kind": "a", "v": 2, "note": null}',
        ),
        # an optional object without any column is left out
        (
            {
                "properties": {
                    "age": {"type": "integer"},
                    "trace": {"properties": {"id": {"type": "string"}}, "required": ["id"]},
                }
            },
            '{"age": {{ row.age }}}',
        ),
        # null says nothing, nor does whether a field is required within itself
        (
            {
                "properties": {"age": {"type": "integer", "enum": None, "required": True}},
                "anyOf": None,
                "required": ["age"],
            },
            '{"age": {{ row.age }}}',
        ),
        # OpenAPI 3.0: nullable, allOf around a $ref
        (
            {
                "properties": {
                    "age": {"allOf": [{"$ref": "#/components/schemas/Age"}], "nullable": True},
                },
                "required": ["age"],
            },
            '{"age": {{ row.age }}}',
        ),
    ],
)
def test_templates(schema, template):
    assert body_of(schema, Age={"type": "integer"}).template == template


def test_columns_whose_names_need_quotes():
    schema = {"properties": {"home city": {"type": "string"}}}
    assert body_of(schema, {"home city": "text"}).template == '{"home city": {{ column("home city") }}}'


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"properties": {"x": {"type": "number"}}, "required": ["x"]}, "requires 'x', which is no column"),
        ({"properties": {"x": {"type": "number"}}}, r"fields \(x\) are no columns"),
        (
            {"properties": {"x": {**NUMBERS, "minItems": 2, "maxItems": 2}}, "required": ["x"]},
            "x takes 2 values, the evaluation set has 4",
        ),
        ({"$ref": "#/components/schemas/Gone"}, "is not in it"),
        ({"$ref": "other.json#/A"}, "is another document"),
        ({"$ref": "#/components/schemas/Loop"}, "leads round in a circle"),
        # keywords that are not what the specification has
        ({"properties": "x"}, "'properties' is 'x', which should be an object"),
        ({"properties": {"age": {"enum": 5}}}, "'enum' is '5', which should be a list"),
        ({"anyOf": {"type": "null"}}, "'anyOf' is "),
        ({**NUMBERS, "minItems": "2"}, "'minItems' is '2', which should be a whole number"),
        # a model that holds itself
        ({"$ref": "#/components/schemas/Tree"}, "nested more than 20 deep"),
    ],
)
def test_what_cannot_be_filled(schema, message):
    tree = {"properties": {"left": {"$ref": "#/components/schemas/Tree"}}, "required": ["left"]}
    with pytest.raises(UsageError, match=message) as error:
        body_of(schema, Loop={"$ref": "#/components/schemas/Loop"}, Tree=tree)
    assert "\n" not in str(error.value)
