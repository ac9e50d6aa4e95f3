"""``loadproof init``: somebody's own model, or services that run, made ready for a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadtest.cli.console import console
from loadtest.errors import UsageError
from loadtest.workflows.init import init as make_ready
from loadtest.workflows.init_service import init_service
from loadtest.workflows.openapi_operation import ByHand


def init(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="The model's folder: one folder per version in it, each with one model file; or one model "
            "file or MLflow folder, which is copied into models."
        ),
    ] = None,
    url: Annotated[
        list[str] | None,
        typer.Option(
            help="Instead of a folder: a service that runs, such as a FastAPI app with an /openapi.json, "
            "or a server of a known protocol; given twice: stable and the candidate."
        ),
    ] = None,
    path: Annotated[
        str | None, typer.Option(help="With --url: the path that predicts, if there are several.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="With --url: the model's name, where the server has several.")
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(help="With --url: 'Name: value' or 'Name: env:VARIABLE'; may be repeated."),
    ] = None,
    body: Annotated[
        str | None,
        typer.Option(
            help="With --url: what is sent, such as '{\"input\": {{ cells }}}', where no document says so."
        ),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="With --url: how it is sent: json, form, multipart or query.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="With --url: POST or GET.")] = None,
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
    """Write an experiment for your own model or service, and try it.

    Every version has to answer some rows.
    """

    def say(line: str) -> None:
        console.print(f"• {line}", markup=False, soft_wrap=True)

    if (folder is None) == (not url):
        raise UsageError("init takes the model's folder, or --url of a service that runs: one of them")
    if folder is not None:
        if path is not None or model or header or body or encoding or method:
            raise UsageError(
                "--path, --model, --header, --body, --encoding and --method are about a service; they go "
                "with --url"
            )
        written = make_ready(folder, say, data=data, label=label, ignore=ignore or (), out=out)
    elif data is None:
        raise UsageError("--url needs --data, the labelled evaluation set")
    else:
        written = init_service(
            url or (),
            data,
            say,
            label=label,
            ignore=ignore or (),
            path=path,
            headers=header or (),
            by_hand=ByHand(body, encoding, method),
            model=model,
            out=out,
        )
    console.print(f"wrote {written}; next: loadproof compare --experiment {written}", soft_wrap=True)
