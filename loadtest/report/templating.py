"""The templates of the pages that a verdict becomes."""

from __future__ import annotations

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from loadtest import colours
from loadtest.report import number_format


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
    environment.globals.update(words=number_format, colours=colours)
    environment.filters.update(markdown=_markdown, one_line=_one_line)
    return environment


def _markdown(text: str) -> str:
    """Text that reads in Markdown as it is: no markup, no HTML, and nobody is called by ``@name``."""
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", text).replace("<", "&lt;").replace("@", "@\u200b")


def _one_line(quantity: str) -> str:
    """A quantity whose unit stays on its line."""
    return re.sub(r"(\d) (?=[A-Za-z])(?!to )", "\\1&nbsp;", quantity)
