"""Writes every dashboard: from its code to the JSON that Grafana reads."""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana import canary, comparison, lab

FOLDER = Path(__file__).parent / "dashboards"


def render() -> dict[str, str]:
    """The text of every dashboard by its file's name."""
    encoder = JSONEncoder(sort_keys=True, indent=1)
    return {
        f"{page.name}.json": encoder.encode(page.build()) + "\n"
        for page in (comparison.page(), canary.page(), lab.page())
    }


if __name__ == "__main__":
    for name, text in render().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
