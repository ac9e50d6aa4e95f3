"""``loadproof init``: somebody's own model, made ready for a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadtest.cli.console import console
from loadtest.workflows.init import init as make_ready


def init(
    folder: Annotated[
        Path,
        typer.Argument(help="The model's folder: one folder per version in it, each with one model file."),
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="The evaluation set, CSV or Parquet; by default evaluation.* in the folder."),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Its label column; by default label, and if there is none, no labels.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="A column that is not a feature; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The experiment to write; by default the folder's name with .toml, here."),
    ] = None,
) -> None:
    """Prepare your own model: write its model.toml files and an experiment, and try every version."""

    def say(line: str) -> None:
        console.print(f"• {line}", markup=False, soft_wrap=True)

    written = make_ready(folder, say, data=data, label=label, ignore=ignore or (), out=out)
    console.print(f"wrote {written}; next: loadproof compare --experiment {written}", soft_wrap=True)
