"""What SECURITY.md says of threats is shown by tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODEL = (ROOT / "SECURITY.md").read_text().partition("## Threat model")[2].partition("\n## ")[0]
LINES = [line for line in MODEL.splitlines() if line.startswith("| ")][1:]


def test_every_line_of_the_threat_model_names_a_test_that_exists():
    assert LINES
    for line in LINES:
        found = re.findall(r"`(tests/[\w/]+\.py)::(\w+)` \|$", line)
        assert found, line
        path, name = found[0]
        tree = ast.parse((ROOT / path).read_text())
        assert name in {part.name for part in ast.walk(tree) if isinstance(part, ast.FunctionDef)}, line
