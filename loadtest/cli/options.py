"""Options that several verbs take, in the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadtest.errors import UsageError
from loadtest.experiment.units import seconds
from loadtest.lab.select import backend_names

ExperimentName = Annotated[str, typer.Option(help="A bundled experiment or the path of a .toml file.")]
StableVersion = Annotated[
    str | None, typer.Option(help="The version in production: a name, a folder, or image:NAME on Compose.")
]
CandidateVersion = Annotated[
    str | None, typer.Option(help="The new version: a name, a folder, or image:NAME on Compose.")
]
Backend = Annotated[str, typer.Option(help=f"{', '.join(backend_names()[:-1])} or {backend_names()[-1]}.")]
Seed = Annotated[int | None, typer.Option(help="The same seed gives the same arrivals and rows.")]
Results = Annotated[Path, typer.Option(help="Where the run folder goes.")]
Mlflow = Annotated[
    bool, typer.Option("--mlflow", help="Log the verdict to the MLflow server of MLFLOW_TRACKING_URI.")
]
MlflowOnPass = Annotated[
    list[str] | None,
    typer.Option(
        help="What a registered version gets on PASS: ALIAS@models:/NAME/VERSION, or "
        "TAG=VALUE@models:/NAME/VERSION; may be repeated."
    ),
]


def duration(option: str, text: str) -> float:
    """Seconds of an option such as ``--wait 5m``.

    Raises:
        UsageError: it is no duration; the line names the option.
    """
    try:
        return seconds(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
