"""Writes every dashboard."""

from grafana.build import FOLDER, render

if __name__ == "__main__":
    for name, text in render().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
