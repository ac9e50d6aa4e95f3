"""The floor: a WSGI application that reads the body and answers the same bytes to everybody."""

BODY = (
    b'{"model_name":"bench","model_version":"v1","id":"row-0",'
    b'"outputs":[{"name":"predict","datatype":"INT64","shape":[1],"data":[0]}]}'
)


def app(environ, start_response):
    """No model, no parsing."""
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("content-type", "application/json")])
    return [BODY]
