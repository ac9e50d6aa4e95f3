import pytest

from loadtest.errors import UsageError
from loadtest.workflows.openapi import write_body
from loadtest.workflows.openapi_operation import Operation, find_operation


def posts(*paths, body=True):
    content = {"requestBody": {"content": {"application/json": {"schema": {}}}}} if body else {}
    return {"paths": {path: {"post": content} for path in paths}}


def one(**about):
    return {"paths": {"/a": {"post": about}}}


FILE = {"type": "string", "format": "binary"}
SL = {"in": "query", "name": "sl", "required": True, "schema": {"type": "number"}}


def form(kind, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"content": {kind: {"schema": schema}}}


def gets(*paths):
    return {"paths": {path: {"get": {"parameters": [SL]}} for path in paths}}


@pytest.mark.parametrize(
    ("document", "path", "found"),
    [
        (posts("/a"), None, "/a"),
        (posts("/a", "/b"), "/b", "/b"),
        # the one whose name says that it predicts
        (posts("/feedback", "/v1/predict"), None, "/v1/predict"),
        # one row and not a file of them
        (posts("/predict", "/predict/batch", "/predict_csv"), None, "/predict"),
        # words, however they are joined, and none that is a part of another
        (posts("/predict", "/predictFile"), None, "/predict"),
        (posts("/profile/predict", "/predict/files"), None, "/profile/predict"),
        # a body that says nothing of its content
        (
            one(requestBody={"content": {"application/json": None}}),
            None,
            "/a",
        ),
        # Swagger 2.0, as Flask-RESTX and Flasgger write it
        (
            {
                "swagger": "2.0",
                "basePath": "/api/",
                "paths": {"/predict": {"post": {"parameters": [{"in": "body", "schema": {}}]}}},
            },
            None,
            "/api/predict",
        ),
        # LitServe 0.2: its handler reads the request itself
        (posts("/predict", body=False), None, "/predict"),
    ],
)
def test_the_operation_that_predicts(document, path, found):
    assert find_operation(document, path).path == found


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        (posts("/a", "/b"), None, r"several POSTs can be asked \(/a, /b\); .*--path"),
        (posts("/a"), "/b", "--path /b: nothing there can be asked; /openapi.json lists /a"),
        # a place in the path is nothing that a template fills
        (posts("/models/{name}"), None, "no POST takes JSON"),
        # what is asked otherwise is named
        (
            {"paths": {"/predict": {"post": {"requestBody": form("multipart/form-data", file=FILE)}}}},
            None,
            "no POST takes JSON, fields or a query, .*POST /predict takes a file",
        ),
        # a GET may be anything, unless its path says what it is
        (gets("/", "/items"), None, r"no POST takes JSON; if one of /, /items predicts, name it with --path"),
        (
            {"paths": {"/predict/{n}": {"get": {"parameters": [{"in": "path", "name": "n"}]}}}},
            None,
            "GET /predict/{n} takes n in its path",
        ),
        # what the specification has as an object or a list is something else
        (
            one(requestBody={"content": ["application/json"]}),
            None,
            r"'content' is .*, which should be an object",
        ),
        (one(requestBody={"content": "x"}), None, "'content' is 'x', which should be an object"),
        (one(requestBody={"content": {"application/json": {"schema": "x"}}}), None, "'schema' is 'x'"),
        (one(requestBody={"content": {"application/json": ["x"]}}), None, "'schema' is "),
        (one(parameters=[{"in": "body", "schema": 5}]), None, "'schema' is '5'"),
        (one(parameters=5), None, "'parameters' is '5', which should be a list"),
        (
            {"info": {"title": "t"}, **one(parameters=[{"$ref": "#/info/title"}])},
            None,
            "#/info/title is no object",
        ),
        ([], None, "is no OpenAPI document"),
        ({"swagger": "2.0"}, None, "is no OpenAPI document"),
    ],
)
def test_no_operation(document, path, message):
    with pytest.raises(UsageError, match=message):
        find_operation(document, path)


def test_headers_that_it_requires():
    document = posts("/a")
    document["paths"]["/a"]["post"]["parameters"] = [
        {"in": "header", "name": "x-key", "required": True},
        {"in": "header", "name": "x-fields"},
        # by the specification no parameters
        {"in": "header", "name": "Content-Type", "required": True},
    ]
    assert find_operation(document, None).headers == ("x-key",)


def test_a_base_path_that_the_url_has():
    document = {"basePath": "/api", **posts("/predict")}
    assert find_operation(document, None).path == "/api/predict"
    assert find_operation(document, None, "/api").path == "/predict"
    # FastAPI's project template has it in each path; another path may begin with the same letters
    assert find_operation(posts("/api/predict"), None, "/api").path == "/predict"
    assert find_operation(posts("/apis/predict"), None, "/api").path == "/apis/predict"


SL_FIELDS = {"type": "object", "properties": {"sl": {"type": "number"}}, "required": ["sl"]}


@pytest.mark.parametrize(
    ("document", "path", "found"),
    [
        # FastAPI: each argument Form(), also beside a file that may be absent, and bare numbers as arguments
        (
            one(requestBody=form("application/x-www-form-urlencoded", sl={"type": "number"})),
            None,
            Operation("/a", SL_FIELDS, (), "form"),
        ),
        (one(parameters=[SL]), None, Operation("/a", SL_FIELDS, (), "query")),
        (gets("/predict", "/items"), None, Operation("/predict", SL_FIELDS, (), "query", "GET")),
        (gets("/", "/items"), "/", Operation("/", SL_FIELDS, (), "query", "GET")),
        # Flasgger, Swagger 2.0: the schema stands in the parameter
        (
            one(parameters=[{"in": "formData", "name": "sl", "type": "number", "required": True}]),
            None,
            Operation("/a", SL_FIELDS, (), "form"),
        ),
        (
            one(parameters=[{"in": "query", "name": "sl", "type": "number", "required": True}]),
            None,
            Operation("/a", SL_FIELDS, (), "query"),
        ),
        # JSON beside a query is JSON, and what says that it predicts is preferred to any JSON
        (one(parameters=[SL], **posts("/a")["paths"]["/a"]["post"]), None, Operation("/a", {})),
        (
            {
                "paths": posts("/login")["paths"]
                | {"/predict": {"post": {"requestBody": form("multipart/form-data", sl={"type": "number"})}}}
            },
            None,
            Operation("/predict", SL_FIELDS, (), "multipart"),
        ),
        # a POST of JSON is the only one, whatever there is to GET
        ({"paths": posts("/a")["paths"] | gets("/predictions")["paths"]}, None, Operation("/a", {})),
    ],
)
def test_how_it_is_asked(document, path, found):
    assert find_operation(document, path) == found


def test_a_file_that_may_be_absent_is_left_out():
    document = one(requestBody=form("multipart/form-data", sl={"type": "number"}, photo=FILE))
    schema = document["paths"]["/a"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    schema["required"] = ["sl"]
    operation = find_operation(document, None)
    body = write_body(document, operation, {"sl": "number"})
    assert (operation.encoding, body.template, body.left_out) == (
        "multipart",
        '{"sl": {{ row.sl }}}',
        ["photo"],
    )
