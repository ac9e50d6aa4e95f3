"""The templates of the pages that a verdict becomes."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from loadtest import colours
from loadtest.report import words


@cache
def templates() -> Environment:
    """The environment of ``report/templates``: HTML is escaped, an unknown name is an error."""
    environment = Environment(
        loader=PackageLoader("loadtest.report"),
        autoescape=select_autoescape(("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(words=words, colours=colours)
    return environment
