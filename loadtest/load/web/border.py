"""Which sites in a browser may use Locust's web UI: its own pages, and no others.

Any site that a person visits can send requests to 127.0.0.1, and can give its own name that address (DNS
rebinding). A browser always says by which name it asks (``Host``) and whose page asks (``Origin``).
No password is checked: SECURITY.md says who can still reach the page.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

KNOWN_HOSTS = frozenset({"localhost", "locust-master"})
"""This machine, and the service of that name in the lab's network; a public site can have neither name."""

_CORS = "access-control-"
_WSGI = Callable[..., Iterable[bytes]]


class Border:
    """A WSGI application that refuses what other sites ask of ``app``, and lets none read an answer.

    ::

        web_ui.app.wsgi_app = Border(web_ui.app.wsgi_app, ["lab.example"])

    A request's ``Host`` must be an IP address, which no site can give itself, a name of ``KNOWN_HOSTS`` or
    one of ``hosts``. Its ``Origin``, where a browser sends one, must be its ``Host``, or be on one of
    ``hosts``: a proxy may change the ``Host``.

    Args:
        app: answers what is let in; its CORS headers are taken away.
        hosts: names, without port, by which the owner lets the pages be reached.
    """

    def __init__(self, app: _WSGI, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request; 403 with one line if it is refused."""
        problem = self._problem(environ)
        if problem is not None:
            body = problem.encode()
            headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
            start_response("403 Forbidden", headers)
            return [body]

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            # Locust lets every site read every page
            kept = [(name, value) for name, value in headers if not name.lower().startswith(_CORS)]
            return start_response(status, kept, *rest)

        return self._app(environ, start)

    def _problem(self, environ: dict[str, Any]) -> str | None:
        asked = environ.get("HTTP_HOST")
        if asked is not None and not self._is_ours(_name(f"//{asked}")):  # no browser leaves it out
            return (
                f"this page is not served as {asked[:100]!r}: open it at 127.0.0.1, "
                "or name the host in LOADPROOF_PAGE_HOSTS\n"
            )
        origin = environ.get("HTTP_ORIGIN")
        if origin is None or _name(origin) in self._hosts:
            return None
        if asked is not None and origin.partition("://")[2].lower() == asked.lower():
            return None
        return f"refused: another site's page ({origin[:100]!r}) asked for it\n"

    def _is_ours(self, name: str | None) -> bool:
        return name is not None and (name in KNOWN_HOSTS or name in self._hosts or _is_address(name))


def _name(url: str) -> str | None:
    """The host of a URL in lower case; None: it has none."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
