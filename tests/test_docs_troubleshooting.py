"""Every message that docs/troubleshooting.md quotes is one that the code can print."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
QUOTES = [line for block in re.findall(r"```text\n(.*?)```", PAGE, re.S) for line in block.splitlines()]


def said(node):
    """What a string of the source says, with … for what changes."""
    if isinstance(node, ast.JoinedStr):
        return "".join(v.value if isinstance(v, ast.Constant) else "…" for v in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@pytest.fixture(scope="module")
def texts():
    """Every string of the product."""
    return [
        text
        for folder in ("loadtest", "services")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if (text := said(node))
    ]


@pytest.mark.parametrize("quote", QUOTES)
def test_the_message_exists(quote, texts):
    assert any(quote.rstrip(" …") in text for text in texts)


def test_every_symptom_quotes_or_explains():
    assert len(QUOTES) == len(set(QUOTES)) > 30
