"""Only its own pages drive Locust's web UI; the one here is open to every site, as Locust's is."""

import pytest
from flask import Flask
from flask_cors import CORS

from loadtest.load.web.border import Border


@pytest.fixture
def app():
    app = Flask("pages")
    CORS(app)
    app.add_url_rule("/stop", "stop", view_func=lambda: "stopped", methods=["POST"])
    app.add_url_rule("/stats/requests", "figures", view_func=lambda: "figures")
    app.wsgi_app = Border(app.wsgi_app, ["Lab.example"])
    return app.test_client()


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        # a browser on this machine, an IPv6 one, the lab's Prometheus, a health check of HTTP/1.0
        ("127.0.0.1:8089", None, 200),
        ("localhost:8089", "http://localhost:8089", 200),
        ("[::1]:8089", "http://[::1]:8089", 200),
        ("locust-master:8089", None, 200),
        ("10.1.2.3:8089", None, 200),
        # through the owner's name, also a proxy that says another port or host
        ("lab.example", "https://lab.example", 200),
        ("127.0.0.1:8089", "https://lab.example", 200),
        # any site that is open in the same browser, a sandboxed one, another port of this machine
        ("127.0.0.1:8089", "https://evil.example", 403),
        ("127.0.0.1:8089", "null", 403),
        ("127.0.0.1:8089", "http://127.0.0.1:3000", 403),
        ("127.0.0.1:8089", "http://127.0.0.1:8089.evil.example", 403),
        ("127.0.0.1:8089", "http://[", 403),
        # a site that gave its own name this machine's address
        ("evil.example:8089", "http://evil.example:8089", 403),
        ("evil.example:8089", None, 403),
        ("127.0.0.1.evil.example", None, 403),
        ("localhost.evil.example", None, 403),
        ("[", None, 403),
        ("", None, 403),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/stats/requests"), ("POST", "/stop")])
def test_who_may_ask(app, method, path, host, origin, status):
    headers = {"Origin": origin} if origin else {}
    answer = app.open(path, method=method, headers=headers, environ_overrides={"HTTP_HOST": host})
    assert answer.status_code == status
    # and nobody's script reads it from another site
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]


def test_a_preflight_allows_nothing(app):
    asked = {"Origin": "https://lab.example", "Access-Control-Request-Method": "PUT"}
    answer = app.options("/stop", headers=asked, environ_overrides={"HTTP_HOST": "127.0.0.1:8089"})
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]
